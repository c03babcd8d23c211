//go:build linux

package libvirt

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"headgate/integration/rig"
)

// TestEnds shows that nothing is left of a domain however it ends: its start fails,
// its QEMU is killed, also while libvirtd is away or hostd is.
func TestEnds(t *testing.T) {
	h := theHost(t)
	ctx := rig.Within(t, 2*time.Minute)
	h.hooked(ctx, t)
	d := shell(t, "mortal", "b8e1c9d0-6f0e-4a55-9a3c-2c7d1e5f6001", policy(`class="gold"`), egd(guestSocket("mortal")))
	kill := func(t *testing.T) {
		t.Helper()
		if err := syscall.Kill(d.PID(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	up := func(t *testing.T) {
		t.Helper()
		start(ctx, t, d, "--paused")
		h.hostd.AwaitGuest(ctx, t, "mortal", "it is connected", connected)
	}
	for _, c := range []struct {
		name string
		end  func(t *testing.T)
	}{
		{"a start that fails", func(t *testing.T) {
			// After ours, since libvirt runs them in the order of their names.
			other := filepath.Join(hooks, "qemu.d", "zz-no")
			if err := os.WriteFile(other, []byte("#!/bin/sh\n[ \"$2\" != start ]\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			defer os.Remove(other)
			if err := d.Start(ctx, "--paused"); err == nil {
				t.Fatal("it started although a hook failed")
			}
		}},
		{"QEMU is killed", func(t *testing.T) { up(t); kill(t) }},
		{"QEMU is killed while libvirtd is away", func(t *testing.T) {
			up(t)
			h.libvirtd.Kill()
			kill(t)
			h.startLibvirtd(ctx, t)
		}},
		{"QEMU is killed while hostd is away", func(t *testing.T) {
			up(t)
			h.hostd.Kill()
			kill(t)
			h.startHostd(ctx, t)
		}},
		{"QEMU is killed while both are away", func(t *testing.T) {
			up(t)
			h.hostd.Kill()
			h.libvirtd.Kill()
			kill(t)
			h.startHostd(ctx, t)
			h.startLibvirtd(ctx, t)
		}},
		{"libvirtd is frozen, then killed", func(t *testing.T) {
			up(t)
			h.libvirtd.Freeze()
			rig.Pause(ctx, t, 500*time.Millisecond)
			if !connected(h.fedOrNot(ctx, t, "mortal")) {
				t.Error("it is not connected any more")
			}
			h.libvirtd.Kill()
			kill(t)
			h.startLibvirtd(ctx, t)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.end(t)
			begun := time.Now()
			h.only(ctx, t)
			t.Logf("nothing was left %s after it", time.Since(begun).Round(time.Millisecond))
		})
	}
}
