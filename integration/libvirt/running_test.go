//go:build linux

package libvirt

import (
	"context"
	"testing"
	"time"

	"headgate/hostd/control"
	"headgate/integration/rig"
)

// atMost is within what a guest is to be fed again, whatever was restarted.
const atMost = 2 * time.Second

// running is a guest that is booted once and reads without pause.
type running struct {
	*host
	guest *rig.Domain
	read  *rig.Following
}

// TestRunningGuest shows what the names of the parts say, on one guest.
func TestRunningGuest(t *testing.T) {
	h := theHost(t)
	ctx := rig.Within(t, 4*time.Minute)
	h.hooked(ctx, t)
	r := &running{host: h, guest: h.machine(t, "db1", "5e9a1c7e-0b35-4a0e-9c1b-b1a5d7f0c201", policy(`class="silver"`), egd(guestSocket("db1")))}
	boot(ctx, t, r.guest)
	r.read = rig.Follow(ctx, t, r.guest.Init, h.seen)
	for _, part := range []struct {
		name string
		run  func(context.Context, *testing.T)
	}{
		{"restarts", r.restarts},
		{"strangers", r.strangers},
		{"saved, restored, reverted", r.restored},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.run(ctx, t) }) {
			t.FailNow() // the next goes on from here
		}
	}
}

// restarts: whatever is restarted under the guest, it is fed within 2 s of all
// being back, by the QEMU that it had, and it stood still at no time.
func (r *running) restarts(ctx context.Context, t *testing.T) {
	qemu := r.guest.PID()
	for _, c := range []struct {
		name    string
		away    func()
		daemons []func(context.Context, *testing.T) // to start again, in this order
	}{
		{"libvirtd stopped", func() { _ = r.libvirtd.Stop() }, []func(context.Context, *testing.T){r.startLibvirtd}},
		{"libvirtd killed", r.libvirtd.Kill, []func(context.Context, *testing.T){r.startLibvirtd}},
		{"hostd stopped", func() { _, _ = r.hostd.Terminate(5 * time.Second) }, []func(context.Context, *testing.T){r.startHostd}},
		{"hostd killed", r.hostd.Kill, []func(context.Context, *testing.T){r.startHostd}},
		{"both killed, hostd back first", func() { r.libvirtd.Kill(); r.hostd.Kill() },
			[]func(context.Context, *testing.T){r.startHostd, r.startLibvirtd}},
		{"both killed, libvirtd back first", func() { r.libvirtd.Kill(); r.hostd.Kill() },
			[]func(context.Context, *testing.T){r.startLibvirtd, r.startHostd}},
	} {
		// Past the burst the guest waits for its rate, and so is blocked.
		r.read.Await(t, r.read.Latest().Total+6<<10, time.Minute)
		r.heartbeat(ctx, t)
		c.away()
		rig.Pause(ctx, t, time.Second)
		before := r.read.Latest().Total
		var begun time.Time
		for _, start := range c.daemons {
			start(ctx, t)
			begun = time.Now()
		}
		// More than what is given unasked, so requests flow again.
		took := r.read.Await(t, before+192, 30*time.Second).Host.Sub(begun)
		back := r.hostd.Await(ctx, t, "hostd follows libvirt and knows db1", func(s control.Status) bool {
			g, ok := rig.GuestOf(s, "db1")
			return s.Libvirt.Connected && ok && g.Class == "silver" && g.Seeded
		})
		t.Logf("%s: the read went on %s after the last was back; hostd follows libvirt %s", c.name,
			took.Round(time.Millisecond), back.Libvirt.Version)
		if took > atMost {
			t.Errorf("%s: the read went on after %s, want at most %s", c.name, took, atMost)
		}
		if now := r.guest.PID(); now != qemu {
			t.Errorf("%s: the guest's QEMU is %d, it was %d", c.name, now, qemu)
		}
		r.heartbeat(ctx, t)
	}
}

func (h *host) startLibvirtd(ctx context.Context, t *testing.T) {
	t.Helper()
	if err := h.libvirtd.Start(context.WithoutCancel(ctx)); err != nil {
		t.Fatal(err)
	}
}

// heartbeat fails the test if the guest stood still since the last call.
func (r *running) heartbeat(ctx context.Context, t *testing.T) {
	t.Helper()
	beat, err := r.guest.Heartbeat(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if beat.Late > 0 {
		t.Errorf("%d heartbeats of %d came more than 1 s late, the latest %s: the guest stood still", beat.Late, beat.Beats, beat.Longest)
	}
}
