package daemon

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"headgate/hostd/control"
	"headgate/kvm/libvirt"
)

func TestFreshGuestsGoFirstAgain(t *testing.T) {
	h := host(t, "")
	web := h.machine("web1", 1, 7)
	saved := unlabelled(web)
	saved.ID = 0
	h.hook("restore", saved)
	h.boot(web)
	conn := h.plug(h.socket("web1"))
	if said := h.said("libvirt_fresh"); len(said) != 1 || said[0] != "web1: guest counts as unseeded: it is restored from a saved state" || h.levelOf("libvirt_fresh").Level != slog.LevelInfo {
		t.Errorf("said %q", said)
	}
	s := sink{h.Daemon}
	s.Up(web, false, time.Now())
	s.All([]libvirt.Domain{web}, time.Now())
	h.hook("reconnect", web)
	if !h.guest("web1").Seeded {
		t.Error("it counts as unseeded once more")
	}
	s.Up(web, true, time.Now())
	if h.guest("web1").Seeded {
		t.Error("put back to an earlier state, and counts as seeded")
	}
	h.asks(conn)
	if !h.guest("web1").Seeded {
		t.Error("not seeded by 64 bytes")
	}
	s.Up(web, true, time.Now().Add(-time.Minute)) // overtaken, but it has happened
	if h.guest("web1").Seeded {
		t.Error("put back to an earlier state, and counts as seeded")
	}
	h.asks(conn)
	again := web
	again.ID = 8 // of which nothing was seen but this
	s.Up(again, false, time.Now())
	if !h.guest("web1").Seeded {
		t.Error("connected to the new QEMU, it has counted as unseeded then")
	}
	conn.Close()
	h.await(func() bool { return !h.guest("web1").Pipes[0].Connected })
	again.ID = 9
	s.Up(again, false, time.Now())
	if h.guest("web1").Seeded {
		t.Error("its QEMU is a new one, and it counts as seeded")
	}
	conn = h.plug(h.socket("web1"))
	again.ID = 10
	saved.RNGs = again.RNGs
	h.hook("restore", saved)
	h.hook("prepare", again)
	if !h.guest("web1").Seeded {
		t.Error("connected to the new QEMU before its hook was heard, it counts as unseeded once more")
	}
	conn.Close()
	h.await(func() bool { return !h.guest("web1").Pipes[0].Connected })
	again.ID = 11
	h.hook("prepare", again)
	if h.guest("web1").Seeded {
		t.Error("its QEMU is about to be a new one, and it counts as seeded")
	}
}

func TestCallsThatComeLateUndoNothing(t *testing.T) {
	h := host(t, "")
	web := h.machine("web1", 1, 7)
	now := time.Now()
	tell := func(op string, m libvirt.Domain, ago time.Duration) {
		t.Helper()
		if err := h.Hook(control.HookCall{Op: op, Domain: m, At: now.Add(-ago).Round(0)}); err != nil {
			t.Fatal(err)
		}
	}
	h.boot(web)
	h.plug(h.socket("web1"))
	old := web
	old.ID = 6
	tell("release", old, 5*time.Second)
	tell("prepare", old, 6*time.Second)
	tell("restore", old, 6*time.Second)
	sink{h.Daemon}.Down(web.UUID, "web1", now.Add(-time.Second))
	sink{h.Daemon}.All(nil, now.Add(-time.Second))
	if g := h.guest("web1"); !g.Seeded || g.Domain.ID != 7 {
		t.Errorf("%+v %+v", g, g.Domain)
	}
	tell("release", web, -time.Hour) // a clock that was set back meanwhile
	if h.has("web1") {
		t.Error("it is there still")
	}
	tell("prepare", web, 2*time.Second)
	sink{h.Daemon}.Up(web, false, now.Add(-2*time.Second))
	if h.has("web1") || len(h.leftOver()) > 0 {
		t.Error("what was told before its end has brought it back")
	}
	tell("prepare", web, -time.Hour)
	if !h.has("web1") {
		t.Error("its next life is not seen")
	}
}

func TestToldAt(t *testing.T) {
	now := time.Now()
	for _, c := range []struct{ at, want time.Time }{
		{time.Time{}, now},
		{now.Add(time.Hour), now},
		{now.Add(-time.Second), now.Add(-time.Second)},
		{now.Add(-time.Hour), now.Add(-lateness)},
	} {
		if got := toldAt(c.at, now); !got.Equal(c.want) {
			t.Errorf("told at %v: %v, want %v", c.at, got, c.want)
		}
	}
}

func TestEndsAreForgotten(t *testing.T) {
	var e ends
	start := time.Now()
	for i := range 2 * maxEnds {
		e.note(uuidOf(i), start, start)
	}
	if len(e.at) != maxEnds || !e.after(uuidOf(0), start.Add(-1)) || e.after(uuidOf(0), start) || e.after(uuidOf(maxEnds), start.Add(-1)) {
		t.Errorf("%d are remembered", len(e.at))
	}
	e.note(uuidOf(0), start.Add(-time.Second), start)
	if !e.after(uuidOf(0), start.Add(-1)) {
		t.Error("an earlier end has replaced a later one")
	}
	later := start.Add(2 * lateness)
	e.note(uuidOf(1), later, later)
	if len(e.at) != 1 {
		t.Errorf("%d are remembered a while later", len(e.at))
	}
}

func TestATroubledSocketIsTold(t *testing.T) {
	h := host(t, "")
	web := h.machine("web1", 1, 7)
	h.boot(h.machine("web0", 2, 8)) // makes the folder
	block(t, h.socket("web1"))
	err := h.Hook(control.HookCall{Op: "prepare", Domain: web})
	if err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("the hook is told %v", err)
	}
	if why := h.guest("web1").Pipes[0].Error; !strings.Contains(why, "no socket") {
		t.Errorf("the status says %q", why)
	}
	unblock(t, h.socket("web1"))
	h.boot(web)
	h.plug(h.socket("web1"))
}

func TestHooksThatAreNone(t *testing.T) {
	h := host(t, "")
	for _, call := range []control.HookCall{{Op: "prepare"}, {Op: "x", Domain: h.machine("web1", 1, 7)}, {Op: "release", Domain: libvirt.Domain{Name: "a/b", UUID: uuidOf(1)}}} {
		if err := h.Hook(call); err == nil {
			t.Errorf("%+v was taken", call)
		}
	}
	bad := h.machine("web1", 1, 7)
	bad.Name = "../web1"
	sink{h.Daemon}.Up(bad, false, time.Now())
	if said := h.said("domain_refused"); len(said) != 1 || len(h.domains) > 0 {
		t.Errorf("said %q, domains %v", said, h.domains)
	}
	h.stop()
	if err := h.Hook(control.HookCall{Op: "prepare", Domain: h.machine("web1", 1, 7)}); err == nil {
		t.Error("a daemon that has ended has taken a domain in")
	}
	if n := len(h.Status().Guests); n != 0 {
		t.Errorf("%d guests after the end", n)
	}
}
