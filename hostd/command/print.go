package command

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/charmbracelet/lipgloss"
)

// look is how things are shown: in colours on a terminal, plain elsewhere.
type look struct {
	title, head, good, warn, bad, dim lipgloss.Style
}

func lookOf(w io.Writer) look {
	// The renderer knows a terminal from a file, and NO_COLOR.
	style := lipgloss.NewRenderer(w).NewStyle
	return look{
		title: style().Bold(true),
		head:  style().Bold(true).Foreground(lipgloss.Color("4")),
		good:  style().Foreground(lipgloss.Color("2")),
		warn:  style().Foreground(lipgloss.Color("3")),
		bad:   style().Bold(true).Foreground(lipgloss.Color("1")),
		dim:   style().Faint(true),
	}
}

// cell is one field of a table.
type cell struct {
	text  string
	style lipgloss.Style
	right bool // numbers line up at their end
}

func left(text string) cell                           { return cell{text: text} }
func right(text string) cell                          { return cell{text: text, right: true} }
func styled(text string, style lipgloss.Style) cell   { return cell{text: text, style: style} }
func numbered(format string, args ...any) (last cell) { return right(fmt.Sprintf(format, args...)) }

// table prints rows in columns, the heads over them. A column is as wide as its
// widest cell; the last is not filled up, so that no line ends in blanks.
func table(w io.Writer, l look, heads []string, rows [][]cell) {
	widths := make([]int, len(heads))
	first := make([]cell, len(heads))
	for i, h := range heads {
		first[i] = cell{text: h, style: l.head, right: len(rows) > 0 && rows[0][i].right}
	}
	all := append([][]cell{first}, rows...)
	for _, row := range all {
		for i, c := range row {
			widths[i] = max(widths[i], lipgloss.Width(c.text))
		}
	}
	for _, row := range all {
		var line strings.Builder
		for i, c := range row {
			blanks := strings.Repeat(" ", widths[i]-lipgloss.Width(c.text))
			if i > 0 {
				line.WriteString("  ")
			}
			if c.right {
				line.WriteString(blanks)
			}
			line.WriteString(c.style.Render(c.text))
			if !c.right && i < len(row)-1 {
				line.WriteString(blanks)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}

// bar draws a share of one as a bar of the given width.
func bar(share float64, width int) string {
	full := min(max(int(share*float64(width)+0.5), 0), width)
	return strings.Repeat("█", full) + strings.Repeat("░", width-full)
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// amount writes a number of bytes short: three digits and a unit.
func amount(n uint64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n), "B"
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB", "PiB"} {
		if value /= 1 << 10; value < 1000 || u == "PiB" {
			unit = u
			break
		}
	}
	if value < 10 {
		return fmt.Sprintf("%.1f %s", value, unit)
	}
	return fmt.Sprintf("%.0f %s", value, unit)
}

// span writes a time that passed with its two largest units.
func span(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Second:
		return fmt.Sprintf("%.3g ms", float64(d.Microseconds())/1000)
	case d < time.Minute:
		return fmt.Sprintf("%.3gs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm %02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh %02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd %02dh", int(d.Hours())/24, int(d.Hours())%24)
}

// seconds writes a number of seconds as span does, and a dash for none.
func seconds(s float64) string {
	if s <= 0 {
		return "-"
	}
	return span(time.Duration(s * float64(time.Second)))
}

// count writes "1 guest", "2 guests", "2 classes".
func count(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "s"):
		noun += "e"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// printable keeps what a guest or a device named from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}
