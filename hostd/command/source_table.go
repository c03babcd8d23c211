package command

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/charmbracelet/lipgloss"

	"headgate/backends"
	"headgate/hostd/control"
)

// sourceTable shows the sources, and under them what is to be known of one or the
// other: why it is not up or was not, with which it shares its noise, what was
// measured of it.
func sourceTable(w io.Writer, l look, sources []control.SourceStatus, now time.Time) {
	if len(sources) == 0 {
		fmt.Fprintln(w, l.bad.Render("No source. Every guest waits."))
		return
	}
	var rows [][]cell
	for _, s := range sources {
		var failures uint64
		for _, n := range s.Failures {
			failures += n
		}
		rows = append(rows, []cell{
			left(s.Name), left(s.Kind), left(string(s.Noise)), styled(s.State, stateStyle(l, s.State)),
			right(span(now.Sub(s.Since))), left(claimOf(s)),
			right(amount(s.RawBytes)), right(amount(s.EntropyBits / 8)), numbered("%d", failures),
			left(printable(orDash(strings.TrimSpace(s.Path + " " + s.Driver)))),
		})
	}
	table(w, l, []string{"SOURCE", "TYPE", "NOISE", "STATE", "FOR", "CLAIM", "RAW", "ENTROPY", "FAILURES", "DEVICE"}, rows)
	note := func(style lipgloss.Style, s control.SourceStatus, text string) {
		fmt.Fprintln(w, style.Render("  "+s.Name+": "+printable(text)))
	}
	first := map[string]string{} // source of each origin
	for _, s := range sources {
		switch e := s.LastError; {
		case s.Error != "":
			note(l.warn, s, s.Error)
		case e != nil:
			note(l.dim, s, "last error "+span(now.Sub(e.Time))+" ago: "+e.Text)
		}
		switch {
		case s.Origin == "":
		case first[s.Origin] == "":
			first[s.Origin] = s.Name
		default:
			note(l.warn, s, "same noise as "+first[s.Origin]+" ("+s.Origin+")")
		}
		if s.Detail != "" {
			note(l.dim, s, s.Detail)
		}
	}
}

func stateStyle(l look, state string) lipgloss.Style {
	switch state {
	case backends.Up:
		return l.good
	case backends.Failed, backends.Ended:
		return l.bad
	}
	return l.warn
}

// claimOf is what a byte of the source is worth, who says so, and whether it counts.
func claimOf(s control.SourceStatus) string {
	var said []string
	switch bits := fmt.Sprintf("%.3g bits", s.MinEntropy); {
	case s.MinEntropy == 0: // it was not open yet, and its device is to say
	case s.Assumed:
		said = append(said, bits+" assumed")
	default:
		said = append(said, bits+" assessed")
	}
	if !s.Credited {
		said = append(said, "not credited")
	}
	return orDash(strings.Join(said, ", "))
}
