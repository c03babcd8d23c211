//go:build linux

package libvirt

import (
	"context"
	"testing"
	"time"

	"headgate/hostd/control"
	"headgate/integration/rig"
)

// TestPlugged boots a guest without a virtio-rng. After attach --live its
// /dev/hwrng answers within 2 s of the command's start, and detach --live takes it
// away, as often as one likes.
func TestPlugged(t *testing.T) {
	h := theHost(t)
	ctx := rig.Within(t, 2*time.Minute)
	h.hooked(ctx, t)
	d := h.machine(t, "db2", "5e9a1c7e-0b35-4a0e-9c1b-b1a5d7f0c202", "", "")
	boot(ctx, t, d)
	if _, err := readOnce(ctx, d); err == nil {
		t.Fatal("the guest has a device already")
	}
	for range 2 {
		h.plugIn(ctx, t, d)
		h.unplug(ctx, t, d)
	}
	h.plugIn(ctx, t, d)

	// libvirt 9.0.0 forgets the reconnect of what is plugged in (chardev-add with
	// "reconnect": 0), so that a restart of hostd cuts it off: plugging it in again
	// is the cure. A later start of the domain has it on QEMU's command line.
	h.hostd.Kill()
	h.startHostd(ctx, t)
	rig.Pause(ctx, t, atMost)
	if connected(h.fedOrNot(ctx, t, "db2")) {
		t.Log("after a restart of hostd QEMU connected by itself")
		return
	}
	t.Log("after a restart of hostd QEMU did not connect by itself")
	last := h.hostd.LastEvent(ctx, t)
	h.do(ctx, t, "libvirt", "attach", "db2", "--live", "--replace")
	h.firstBytes(ctx, t, d)
	if g := h.fed(ctx, t, "db2"); g.Class != "silver" {
		t.Errorf("db2 is %+v", g)
	}
	for _, e := range h.hostd.Events(ctx, t, last) {
		if e.Kind == "domain_miswired" {
			t.Errorf("while it was mended: %+v", e)
		}
	}
}

// plugIn attaches the device to a running guest.
func (h *host) plugIn(ctx context.Context, t *testing.T, d *rig.Domain) {
	t.Helper()
	begun := time.Now()
	h.do(ctx, t, "libvirt", "attach", d.Name, "--live", "--class", "silver")
	commanded := time.Since(begun)
	took := h.firstBytes(ctx, t, d).Host.Sub(begun)
	t.Logf("attach --live took %s, and /dev/hwrng answered %s after its start", commanded.Round(time.Millisecond), took.Round(time.Millisecond))
	if took > atMost {
		t.Errorf("/dev/hwrng answered after %s, want at most %s", took, atMost)
	}
	if g := h.fed(ctx, t, d.Name); g.Class != "silver" || g.Origin != control.OriginLibvirt {
		t.Errorf("%s is %+v", d.Name, g)
	}
}

// unplug takes the device away from a running guest.
func (h *host) unplug(ctx context.Context, t *testing.T, d *rig.Domain) {
	t.Helper()
	begun := time.Now()
	h.do(ctx, t, "libvirt", "detach", d.Name, "--live")
	h.gone(ctx, t, d.Name)
	for {
		p, err := readOnce(ctx, d)
		if err != nil {
			t.Logf("detached: %v, %s after the command's start", err, time.Since(begun).Round(time.Millisecond))
			return
		}
		h.seen.Stream(d.Name).Add(p.Data)
		if time.Since(begun) > 10*time.Second {
			t.Fatal("/dev/hwrng answers 10 s after detach --live")
		}
	}
}

// fedOrNot is a guest of which it is not known whether it is fed.
func (h *host) fedOrNot(ctx context.Context, t *testing.T, guest string) control.GuestStatus {
	t.Helper()
	return h.hostd.AwaitGuest(ctx, t, guest, "guest "+guest+" is known", func(control.GuestStatus) bool { return true })
}
