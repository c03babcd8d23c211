package command

import (
	"fmt"
	"io"
	"strings"

	"headgate/hostd/config"
	"headgate/hostd/meter"
)

// printTally prints one table of who read anything.
func (a *App) printTally(t tally) error {
	var b strings.Builder
	l := lookOf(a.Out)
	wayTable(&b, l, t.Ways)
	fmt.Fprintln(&b)
	busy, idle := t.busy()
	if len(busy) > 0 {
		readerTable(&b, l, busy, 0)
	} else {
		fmt.Fprintf(&b, "Nobody read anything within %s.\n", seconds(t.Seconds))
	}
	if idle > 0 {
		fmt.Fprintln(&b, l.dim.Render(fmt.Sprintf("%s more, of who has read before: --json has all", count(idle, "row"))))
	}
	for _, n := range t.Notes {
		fmt.Fprintln(&b, l.dim.Render("note: "+printable(n)))
	}
	_, err := io.WriteString(a.Out, b.String())
	return err
}

// busy are the rows of who read anything between the two looks, and how many others
// there are.
func (t tally) busy() (busy []reader, idle int) {
	for _, r := range append(t.Users, t.others()...) {
		if r.CallsRate > 0 {
			busy = append(busy, r)
		} else {
			idle++
		}
	}
	return busy, idle
}

// others are the rows of who could not be told apart.
func (t tally) others() (rows []reader) {
	for _, f := range t.Other {
		rows = append(rows, reader{Process: "(others)", Gone: true, flow: f})
	}
	return rows
}

// wayTable prints all that went each way, and how that is seen.
func wayTable(w io.Writer, l look, ways []wayTally) {
	var rows [][]cell
	for _, t := range ways {
		seen := left(t.How + " " + t.Function)
		switch {
		case t.How == "":
			seen = styled("not seen: "+printable(t.Why), l.warn)
		case t.Missed > 0:
			seen = styled(fmt.Sprintf("%s %s, %s missed", t.How, t.Function, count(int(t.Missed), "call")), l.warn)
		}
		rows = append(rows, []cell{left(string(t.Way)), rate(t.BytesRate), perSecond(t.CallsRate), right(amount(t.Bytes)), numbered("%d", t.Calls), seen})
	}
	table(w, l, []string{"WAY", "BYTES/S", "CALLS/S", "BYTES", "CALLS", "SEEN BY"}, rows)
}

// readerTable prints rows of readers; no control group longer than so much, if it is
// not 0.
func readerTable(w io.Writer, l look, readers []reader, most int) {
	rows := make([][]cell, 0, len(readers))
	for _, r := range readers {
		pid, name := fmt.Sprint(r.PID), left(printable(r.Process))
		if r.Gone {
			pid, name = "ended", styled(name.text, l.dim)
		}
		if r.PID == 0 {
			pid = "-"
		}
		rows = append(rows, []cell{right(pid), name, r.domain(l), left(string(r.Way)), rate(r.BytesRate), perSecond(r.CallsRate),
			right(amount(r.Bytes)), left(ending(printable(orDash(r.Cgroup)), most))})
	}
	table(w, l, []string{"PID", "PROCESS", "DOMAIN", "WAY", "BYTES/S", "CALLS/S", "BYTES", "CGROUP"}, rows)
}

// domain is of which guest that is: loud where its QEMU reads a device of the host.
func (r reader) domain(l look) cell {
	switch {
	case !r.QEMU:
		return left("-")
	case r.Way == meter.Getrandom:
		return left(domainName(r.Domain, r.Vouched))
	}
	return styled(domainName(r.Domain, r.Vouched), l.warn)
}

// maxDomain bounds what a table shows of a domain's name, in bytes.
const maxDomain = 24

// domainName is what a QEMU calls itself, with a question mark where only it does.
func domainName(name string, vouched bool) string {
	name = config.Clip(name, maxDomain)
	if !vouched {
		name += "?"
	}
	return printable(name)
}

// rate is a number of bytes a second.
func rate(r float64) cell {
	switch {
	case r == 0:
		return right("-")
	case r < 1:
		return numbered("%.1f B", r)
	}
	return right(amount(uint64(r)))
}

// perSecond is a number of calls.
func perSecond(r float64) cell {
	switch {
	case r == 0:
		return right("-")
	case r < 10:
		return numbered("%.1f", r)
	}
	return numbered("%.0f", r)
}

// ending is the end of a path, which tells it from others; all of it where most is 0.
func ending(path string, most int) string {
	runes := []rune(path)
	if most == 0 || len(runes) <= most {
		return path
	}
	return "…" + string(runes[len(runes)-most+1:])
}
