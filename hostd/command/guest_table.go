package command

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"headgate/hostd/control"
)

// guestTable shows the guests. What only a DRBG has is shown where somebody has one.
func guestTable(w io.Writer, l look, guests []control.GuestStatus, now time.Time) {
	if len(guests) == 0 {
		fmt.Fprintln(w, `No guest. Add one: hostd guest add NAME --pipe qemu:/run/headgate/guests/NAME.sock`)
		return
	}
	drbgs := slices.ContainsFunc(guests, func(g control.GuestStatus) bool { return g.DRBG != nil })
	where := func(shown bool, cells ...cell) []cell {
		if shown {
			return cells
		}
		return nil
	}
	heads := []string{"GUEST", "CLASS", "STATE", "PIPES", "RATE", "BURST", "WEIGHT", "BYTES", "REQUESTS", "FIRST", "HELD:RATE", "HELD:SUPPLY"}
	if drbgs {
		heads = slices.Insert(heads, 8, "OF DRBG")
		heads = slices.Insert(heads, 2, "QUALITY")
	}
	var rows [][]cell
	for _, g := range guests {
		var kinds []string
		for _, p := range g.Pipes {
			kinds = append(kinds, p.Kind)
		}
		rows = append(rows, slices.Concat(
			[]cell{left(g.Name), left(g.Class)},
			where(drbgs, left(g.Quality)),
			[]cell{guestState(l, g), left(orDash(strings.Join(kinds, " "))), right(g.Rate.String()),
				right(g.Burst.String()), numbered("%d", g.Weight), right(amount(g.Bytes))},
			where(drbgs, drbgBytes(g)),
			[]cell{numbered("%d", g.Requests), right(seconds(g.FirstBytes)), right(seconds(g.ThrottledRate)), right(seconds(g.ThrottledSupply))},
		))
	}
	table(w, l, heads, rows)
	for _, g := range guests {
		if g.DRBG != nil && g.DRBG.Stale {
			fmt.Fprintln(w, l.bad.Render(fmt.Sprintf("  %s: waiting: max_stale is over: its DRBG has had no seed for %s", g.Name, span(now.Sub(g.DRBG.SeededAt)))))
		}
		for _, p := range g.Pipes {
			if p.Error != "" {
				fmt.Fprintln(w, l.bad.Render(fmt.Sprintf("  %s: %v: %s", g.Name, p.Pipe(), printable(p.Error))))
			}
		}
	}
}

// drbgBytes is how many of the guest's bytes are of its DRBG.
func drbgBytes(g control.GuestStatus) cell {
	if g.DRBG == nil {
		return right("-")
	}
	return right(amount(g.BytesDRBG))
}

// guestState sums a guest up in a word.
func guestState(l look, g control.GuestStatus) cell {
	connected := false
	for _, p := range g.Pipes {
		connected = connected || p.Connected
		// Where hostd connects it is the other end that is to be there.
		if p.Error != "" && p.Pipe().Listens() {
			return styled("broken", l.bad)
		}
	}
	switch {
	case !connected:
		return styled("away", l.dim)
	case g.DRBG != nil && g.DRBG.Stale:
		return styled("stale", l.bad)
	case !g.Seeded:
		return styled("unseeded", l.warn)
	case g.Waiting:
		return styled("waiting", l.warn)
	}
	return styled("fed", l.good)
}

// hostLine tells how the host's own kernel is fed, if it is to be.
func hostLine(w io.Writer, l look, h control.HostStatus, now time.Time) {
	if !h.Feed {
		return
	}
	state := l.warn.Render("waits for its first bytes")
	switch {
	case h.Error != "":
		state = l.bad.Render("not fed")
	case h.DRBG != nil && h.DRBG.Stale:
		state = l.bad.Render("waits: max_stale is over")
	case h.Waiting && !h.FedAt.IsZero():
		state = l.warn.Render("waits for bytes") + ", fed " + span(now.Sub(h.FedAt)) + " ago"
	case !h.FedAt.IsZero():
		state = l.good.Render("fed") + " " + span(now.Sub(h.FedAt)) + " ago"
	}
	fmt.Fprintf(w, "\n%s  its kernel: %s · class %s · quality %s · %s mixed, %d bits credited\n",
		l.head.Render("HOST"), state, h.Class, h.Quality, amount(h.Bytes), h.CreditedBits)
}
