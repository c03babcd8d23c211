package daemon

import (
	"log/slog"
	"math"
	"slices"
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
	s.Up(web, time.Now())
	s.All([]libvirt.Domain{web}, nil, time.Now())
	h.hook("reconnect", web)
	if !h.guest("web1").Seeded {
		t.Error("it counts as unseeded once more")
	}
	h.resume(web.UUID, false)
	if !h.guest("web1").Seeded {
		t.Error("resumed with nobody to push to, and counts as unseeded")
	}
	h.resume(web.UUID, true)
	if h.guest("web1").Seeded {
		t.Error("put back to an earlier state, and counts as seeded")
	}
	h.asks(conn)
	if !h.guest("web1").Seeded {
		t.Error("not seeded by 64 bytes")
	}
	again := web
	again.ID = 8 // of which nothing was seen but this
	s.Up(again, time.Now())
	if !h.guest("web1").Seeded {
		t.Error("connected to the new QEMU, it has counted as unseeded then")
	}
	conn.Close()
	h.await(func() bool { return !h.guest("web1").Pipes[0].Connected })
	again.ID = 9
	s.Up(again, time.Now())
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
	now, clock := time.Now(), libvirt.Clock()
	tell := func(op string, m libvirt.Domain, ago time.Duration) {
		t.Helper()
		if err := h.Hook(control.HookCall{Op: op, Domain: m, At: clock - int64(ago)}); err != nil {
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
	sink{h.Daemon}.All(nil, nil, now.Add(-time.Second))
	if g := h.guest("web1"); !g.Seeded || g.Domain.ID != 7 {
		t.Errorf("%+v %+v", g, g.Domain)
	}
	tell("release", web, -time.Hour) // another clock
	if h.has("web1") {
		t.Error("it is there still")
	}
	tell("prepare", web, 2*time.Second)
	sink{h.Daemon}.Up(web, now.Add(-2*time.Second))
	if h.has("web1") || len(h.leftOver()) > 0 {
		t.Error("what was told before its end has brought it back")
	}
	tell("prepare", web, -time.Hour)
	if !h.has("web1") {
		t.Error("its next life is not seen")
	}
}

func TestTheClockOfCalls(t *testing.T) {
	before := time.Now()
	c := readClock()
	if took := time.Since(before); c.at.Before(before) || c.told(libvirt.Clock(), c.at.Add(time.Hour)).Sub(c.at) > took+time.Second {
		t.Errorf("the clocks are %v apart", c.told(libvirt.Clock(), c.at.Add(time.Hour)).Sub(c.at))
	}
	now := c.at.Add(2 * time.Hour)
	for _, tc := range []struct {
		call int64
		want time.Time
	}{
		{0, now},
		{math.MinInt64, now},
		{math.MaxInt64, now},
		{c.call, now.Add(-believed)},
		{1, now.Add(-believed)},
		{c.call + int64(119*time.Minute), now.Add(-time.Minute)},
		{c.call + int64(119*time.Minute) + 1, now.Add(-time.Minute + 1)},
	} {
		if got := c.told(tc.call, now); !got.Equal(tc.want) {
			t.Errorf("told at %v: %v, want %v", tc.call, got, tc.want)
		}
	}
}

// However long hostd was stopped: what was told first is what was so first.
func TestLateCallsKeepTheirOrder(t *testing.T) {
	h := host(t, "")
	h.mu.Lock()
	h.clock.call -= int64(10 * time.Minute) // as if the calls had been made that much earlier
	h.clock.at = h.clock.at.Add(-20 * time.Minute)
	h.mu.Unlock()
	web, begun := h.machine("web1", 1, 7), libvirt.Clock()
	for _, call := range []control.HookCall{
		{Op: "release", Domain: web, At: begun + 3e6},
		{Op: "started", Domain: web, At: begun + 2e6},
		{Op: "prepare", Domain: web, At: begun + 1e6},
	} {
		if err := h.Hook(call); err != nil {
			t.Fatal(err)
		}
	}
	if h.has("web1") {
		t.Error("calls of before its end have brought it back")
	}
	// Another's end has what is known of ends looked through.
	h.mu.Lock()
	h.ends.swept = time.Time{}
	h.mu.Unlock()
	h.halt(h.machine("db1", 2, 8))
	if err := h.Hook(control.HookCall{Op: "prepare", Domain: web, At: begun}); err != nil || h.has("web1") {
		t.Errorf("a call of before its end has brought it back, %v", err)
	}
}

// Whether what a hook has brought is there, libvirt is asked later.
func TestHooksAreLookedAfter(t *testing.T) {
	h := host(t, "")
	web, bare := h.machine("web1", 1, 7), h.machine("web1", 1, 7)
	bare.RNGs = nil
	h.boot(web)
	late := libvirt.Clock()
	sink{h.Daemon}.Up(bare, time.Now()) // its device was detached
	if h.has("web1") {
		t.Fatal("it is there still")
	}
	h.due()
	if err := h.Hook(control.HookCall{Op: "started", Domain: web, At: late}); err != nil {
		t.Fatal(err)
	}
	if due := h.due(); !slices.Equal(due, []string{web.UUID}) {
		t.Errorf("to be looked at: %v", due)
	}
	h.hook("started", web)
	if due := h.due(); len(due) > 0 {
		t.Errorf("known already, and to be looked at: %v", due)
	}
}

// What an attach waits for is there, however old its stamp.
func TestAnAttachIsOfNow(t *testing.T) {
	h := host(t, "")
	web, bare := h.machine("web1", 1, 7), h.machine("web1", 1, 7)
	bare.RNGs = nil
	bare = h.withPort(bare)
	stamp := libvirt.Clock()
	sink{h.Daemon}.Up(bare, time.Now())
	if err := h.Hook(control.HookCall{Op: control.OpAttach, Domain: h.withPort(web), At: stamp}); err != nil {
		t.Fatal(err)
	}
	if p := h.guest("web1").Pipes; len(p) != 2 || p[1].Path != h.socket("web1") {
		t.Errorf("%+v", p)
	}
}

// libvirt calls the hook of a restore before it looks whether that can be.
func TestARestoreThatIsRefusedChangesNothing(t *testing.T) {
	h := host(t, "")
	web, twin := h.machine("web1", 1, 7), h.machine("web1", 2, 0)
	h.boot(web)
	conn := h.plug(h.socket("web1"))
	h.due()
	saved := unlabelled(web)
	saved.ID, saved.RNGs = 0, nil
	for _, op := range []string{"restore", "migrate"} {
		h.hook(op, saved)
		h.hook(op, unlabelled(twin))
		h.served(conn)
	}
	if g := h.guest("web1"); g.Domain.UUID != web.UUID || g.Domain.ID != 7 || !g.Seeded || len(h.domains) != 1 {
		t.Errorf("%+v %+v", g, g.Domain)
	}
	if due := h.due(); !slices.Equal(due, []string{web.UUID, twin.UUID}) {
		t.Errorf("to be looked at: %v", due)
	}
	twin.ID = 8
	h.hook("prepare", twin) // that proves that the other has ended
	h.gone(conn)
	if due := h.due(); !slices.Equal(due, []string{web.UUID, twin.UUID}) {
		t.Errorf("to be looked at: %v", due)
	}
	sink{h.Daemon}.Up(web, time.Now().Add(-time.Minute)) // an answer that was overtaken
	if due := h.due(); len(h.domains) != 1 || !slices.Equal(due, []string{web.UUID, twin.UUID}) {
		t.Errorf("to be looked at: %v", due)
	}
}

// An answer may be from any time since it was asked for; ids tell what was before it.
func TestCallsOfWhileLibvirtWasAsked(t *testing.T) {
	h := host(t, "")
	asked := time.Now()
	early := libvirt.Clock()
	web, twin := h.machine("web1", 1, 7), h.machine("web1", 2, 6)
	sink{h.Daemon}.Up(web, asked)
	h.pid("web1")
	conn := h.plug(h.socket("web1"))
	before := web
	before.ID = 5
	for _, m := range []libvirt.Domain{twin, before} {
		for _, op := range []string{"restore", "prepare", "started", "release"} {
			if err := h.Hook(control.HookCall{Op: op, Domain: m, At: early}); err != nil {
				t.Fatal(err)
			}
		}
	}
	h.served(conn)
	if g := h.guest("web1"); g.Domain.ID != 7 || !g.Seeded {
		t.Errorf("%+v", g.Domain)
	}
	twin.ID = 1 // libvirt has begun anew
	h.hook("prepare", twin)
	h.gone(conn)
}

// due are the domains to be looked at later.
func (h hosting) due() []string {
	due, _, _ := h.looks.take(time.Now().Add(2 * lookAfter))
	slices.Sort(due)
	return due
}

func TestEndsAreForgotten(t *testing.T) {
	var e ends
	start := time.Now()
	for i := range 2 * maxEnds {
		e.note(uuidOf(i), start, start)
	}
	if len(e.of) != maxEnds || !e.after(uuidOf(0), start.Add(-1)) || e.after(uuidOf(0), start) || e.after(uuidOf(maxEnds), start.Add(-1)) {
		t.Errorf("%d are remembered", len(e.of))
	}
	e.note(uuidOf(0), start.Add(-time.Second), start)
	if !e.after(uuidOf(0), start.Add(-1)) {
		t.Error("an earlier end has replaced a later one")
	}
	later := start.Add(2 * lateness)
	e.note(uuidOf(1), start, later)
	e.note(uuidOf(2), later, later.Add(1))
	if len(e.of) != 2 {
		t.Errorf("%d are remembered a while later", len(e.of))
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
	sink{h.Daemon}.Up(bad, time.Now())
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
