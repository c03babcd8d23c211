package command

import (
	"fmt"
	"io"
	"math"
	"strings"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/hostd/guard"
)

// guardLine tells whether the kernel keeps hostd from the network, and who tried.
func guardLine(w io.Writer, l look, g control.GuardStatus) {
	if g.Mode == "" { // a hostd that is older
		return
	}
	var state string
	switch {
	case g.Mode == config.GuardOff:
		state = l.warn.Render("off: nothing but its unit keeps hostd from the network")
	case g.Up && g.Confined:
		state = l.good.Render("up") + ": every socket of the network is refused and counted " + l.dim.Render("· cgroup "+printable(g.Cgroup))
	case g.Up:
		state = l.warn.Render("up for inet alone: seccomp does not refuse the other families")
	case g.Confined:
		state = l.warn.Render("not up: seccomp refuses sockets of the network, and nobody counts who tries")
	default:
		state = l.bad.Render("not up: nothing but its unit keeps hostd from the network")
	}
	fmt.Fprintf(w, "\n%s  %s\n", l.head.Render("GUARD"), state) // why not is a warning of the status
	if n := g.Refused; n.Inet > 0 || n.Inet6 > 0 {
		fmt.Fprintln(w, "       "+l.bad.Render(fmt.Sprintf("refused: %d inet, %d inet6: %s", n.Inet, n.Inet6, tries(n.By))))
	}
}

// Bounds of who is named, so that the status stays one that can be read.
const (
	maxTries     = 4
	maxUnmetered = 16
)

// tries names who tried.
func tries(by []guard.Refusal) string {
	var said []string
	for _, r := range by[:min(len(by), maxTries)] {
		who := printable(r.Process)
		if r.PID > 0 {
			who += fmt.Sprintf(" (pid %d)", r.PID)
		}
		said = append(said, fmt.Sprintf("%s %s %s", who, r.Family, count(int(min(r.Count, math.MaxInt)), "time")))
	}
	if more := len(by) - maxTries; more > 0 {
		said = append(said, fmt.Sprintf("%d more", more))
	}
	return strings.Join(said, ", ")
}

// meterLine tells how it is seen who reads the kernel's randomness, and which guests
// do so past hostd.
func meterLine(w io.Writer, l look, m control.MeterStatus) {
	if m.Mode == "" {
		return
	}
	fmt.Fprintf(w, "%s  ", l.head.Render("METER"))
	switch {
	case m.Mode == config.MeterOff:
		fmt.Fprintln(w, l.dim.Render("off: who reads the host's devices past hostd is not seen"))
		return
	case !m.Up:
		fmt.Fprintln(w, l.warn.Render("not up: "+printable(m.Error)))
		return
	}
	var seen []string
	for _, how := range []string{"fentry", "kprobe"} {
		var ways []string
		for _, way := range m.Ways {
			if way.How == how {
				ways = append(ways, string(way.Way))
			}
		}
		if len(ways) > 0 {
			seen = append(seen, strings.Join(ways, ", ")+" by "+how)
		}
	}
	fmt.Fprintln(w, l.good.Render("up")+": sees "+strings.Join(seen, "; "))
	for _, way := range m.Ways {
		if way.How == "" {
			fmt.Fprintln(w, "       "+l.warn.Render(fmt.Sprintf("%s is not seen: %s", way.Way, printable(way.Why))))
		}
	}
	for _, u := range m.Unmetered[:min(len(m.Unmetered), maxUnmetered)] {
		fmt.Fprintln(w, "       "+l.bad.Render(unmetered(u)))
	}
	if more := len(m.Unmetered) - maxUnmetered; more > 0 {
		fmt.Fprintln(w, "       "+l.bad.Render(fmt.Sprintf("%d more: hostd status --json has all", more)))
	}
}

// unmetered says what a guest has past hostd.
func unmetered(u control.Unmetered) string {
	return fmt.Sprintf("%s reads %s of the host itself, %s so far: not metered", printable(u.String()), u.Devices(), amount(u.Bytes))
}
