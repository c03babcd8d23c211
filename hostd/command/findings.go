package command

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"headgate/hostd/doctor"
)

// errFaults ends the command where the doctor found a fault; they are printed by
// then.
var errFaults = errors.New("see above")

// tellFindings prints them, and fails if one is a fault.
func (a *App) tellFindings(found []doctor.Finding, asJSON bool) error {
	var err error
	if asJSON {
		err = printJSON(a.Out, found)
	} else {
		err = a.printFindings(found)
	}
	if faults := doctor.Count(found, doctor.Fault); err == nil && faults > 0 {
		return fmt.Errorf("%s: %w", count(faults, "fault"), errFaults)
	}
	return err
}

func (a *App) printFindings(found []doctor.Finding) error {
	var b strings.Builder
	l := lookOf(a.Out)
	for _, f := range found {
		about := f.About
		if f.Domain != "" {
			about += " " + f.Domain
		}
		level := l.dim
		switch f.Level {
		case doctor.OK:
			level = l.good
		case doctor.Note:
			level = l.warn
		case doctor.Fault:
			level = l.bad
		}
		fmt.Fprintf(&b, "%s  %s: %s\n", level.Render(fmt.Sprintf("%-5s", f.Level)), l.title.Render(printable(about)), printable(f.Text))
		if f.Remedy != "" {
			fmt.Fprintf(&b, "       %s\n", l.dim.Render(printable(f.Remedy)))
		}
	}
	_, err := io.WriteString(a.Out, b.String())
	return err
}
