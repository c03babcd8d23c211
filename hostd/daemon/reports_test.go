package daemon

import (
	"fmt"
	"log/slog"
	"maps"
	"testing"
	"time"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/ratelimit"
	"headgate/wire/feed"
	"headgate/wire/pipe"
)

func TestReportsAreCountedAndTimed(t *testing.T) {
	var r reports
	start := time.Now()
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	status := func() (s control.GuestStatus) {
		r.tell(&s)
		return s
	}
	took := func(want float64) {
		t.Helper()
		if got := status().SeededSeconds; got != want {
			t.Errorf("seeded in %v s, want %v", got, want)
		}
	}
	say := func(ms int, said feed.Report) { t.Helper(); r.take(said, at(ms)) }
	if s := status(); s.LastReport != nil || s.Reseeds != nil || s.SeededSeconds != 0 {
		t.Errorf("nothing was said: %+v", s)
	}
	one, two := [16]byte{1}, [16]byte{2}
	say(0, feed.Report{Reason: "interval", Seeded: 5, Boot: one})
	took(0) // nobody has seen it connect
	r.await(at(1000))
	say(1100, feed.Report{Reason: "start", Boot: one}) // the kernel is not seeded
	say(1200, feed.Report{Reason: "health", Seeded: 5, Boot: one})
	took(0)
	say(1250, feed.Report{Reason: "start", Seeded: 6, Credited: 512, Boot: one, Version: "v1"})
	took(0.25)
	say(3000, feed.Report{Reason: "interval", Seeded: 7, Boot: one})
	took(0.25)
	if rebooted := status().LastReport.Rebooted; !rebooted.IsZero() {
		t.Errorf("the same boot since %v", rebooted)
	}
	r.await(at(4000))
	took(0)
	r.await(at(5000)) // the last one counts
	say(5040, feed.Report{Reason: "push", Seeded: 8, Boot: two})
	took(0.04)
	say(6000, feed.Report{Reason: "\x1b[2J", Seeded: 8, Boot: two})
	s := status()
	if want := map[string]uint64{"interval": 2, "start": 2, "health": 1, "push": 1, "other": 1}; !maps.Equal(s.Reseeds, want) {
		t.Errorf("%v, want %v", s.Reseeds, want)
	}
	want := control.Report{Received: at(6000), BootID: "02000000-0000-0000-0000-000000000000", Rebooted: at(5040), SeededAt: time.Unix(0, 8), Reason: "\x1b[2J"}
	if *s.LastReport != want {
		t.Errorf("%+v, want %+v", *s.LastReport, want)
	}
	for i := range 1000 {
		say(7000, feed.Report{Reason: fmt.Sprint(i)})
	}
	if n := len(status().Reseeds); n != 5 {
		t.Errorf("%d reasons are kept", n)
	}
}

// What guestd says is told by its reason, and what is no news is not.
func TestReportsAreTold(t *testing.T) {
	h := host(t, "[[guest]]\nname = \"web1\"\npipes = [\"port:DIR/web1\"]\n")
	g := h.guests["web1"]
	for _, reason := range []string{"interval", "start", "push", "fork", "vmgenid", "peers", "clock", "whatever"} {
		g.happened(config.Pipe{Kind: "port"}, pipe.Event{Kind: pipe.Reported, Report: feed.Report{Reason: reason}})
	}
	if said := h.said("guest_reseeded"); len(said) != 7 {
		t.Errorf("%q", said)
	}
	if e := h.levelOf("guest_reseeded"); e.Level != slog.LevelInfo || e.Fields["reason"] != "whatever" {
		t.Errorf("%+v", e)
	}
	if said := h.said("guest_health"); len(said) != 0 {
		t.Errorf("%q", said)
	}
	for range 1000 { // at a rate that no guest can bring about
		g.happened(config.Pipe{Kind: "port"}, pipe.Event{Kind: pipe.Reported, Report: feed.Report{Reason: "health"}})
	}
	if e, n := h.levelOf("guest_health"), len(h.said("guest_health")); e.Level != slog.LevelWarn || n == 0 || n > 30 {
		t.Errorf("%d times, %+v", n, e)
	}
	if n := h.guest("web1").Reseeds["health"]; n != 1000 {
		t.Errorf("%d are counted", n)
	}
}

// That a guest connects begins the time anew, on a pipe that guestd is at the end of.
func TestConnectingIsTimed(t *testing.T) {
	h := host(t, "[[guest]]\nname = \"web1\"\npipes = [\"port:DIR/web1\"]\n")
	g := h.guests["web1"]
	for _, test := range []struct {
		kind string
		ends bool
	}{{"qemu", false}, {"egd", false}, {"port", true}, {"vchan", true}, {"channel", true}} {
		g.reports = reports{}
		p := config.Pipe{Kind: test.kind}
		g.happened(p, pipe.Event{Kind: pipe.Connected})
		g.happened(p, pipe.Event{Kind: pipe.Reported, Report: feed.Report{Reason: "start", Seeded: 1}})
		if got := h.guest("web1").SeededSeconds > 0; got != test.ends {
			t.Errorf("%s: timed: %v", test.kind, got)
		}
	}
	if ratelimit.Quantum != pipe.Seed {
		t.Error("a push is not what goes ahead of others")
	}
}
