//go:build linux

package libvirt

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"headgate/hostd/control"
	"headgate/integration/rig"
)

// TestFreshHost wires a host and a domain in with two commands, and shows that the
// domain is fed when it starts, with the class that it was given: by libvirt's
// events alone while libvirtd has not seen the hook yet, and by the hook after
// libvirtd was told to look for it.
func TestFreshHost(t *testing.T) {
	h := theHost(t)
	ctx := rig.Within(t, 2*time.Minute)
	if _, err := os.Stat(hookScript); err == nil {
		h.do(ctx, t, "libvirt", "uninstall-hook")
		h.restartLibvirtd(ctx, t)
	}
	web1 := h.machine(t, "web1", "a956bb3c-4652-4b95-a7f3-30e85b7cf76d", "", "")
	h.do(ctx, t, "libvirt", "install-hook")
	h.do(ctx, t, "libvirt", "attach", "web1", "--config", "--class", "gold")

	for _, reload := range []bool{false, true} {
		name := "events alone"
		if reload {
			name = "hook"
		}
		t.Run(name, func(t *testing.T) {
			if reload {
				h.libvirtd.Reload()
				rig.Pause(ctx, t, time.Second) // it says nowhere that it has
			}
			before := h.status(ctx, t).Libvirt.HookCalls
			begun := time.Now()
			start(ctx, t, web1)
			started := time.Since(begun)
			h.hostd.AwaitGuest(ctx, t, "web1", "web1 is known", func(control.GuestStatus) bool { return true })
			known := time.Since(begun)
			h.hostd.AwaitGuest(ctx, t, "web1", "web1 is connected", func(g control.GuestStatus) bool {
				return len(g.Pipes) == 1 && g.Pipes[0].Connected
			})
			t.Logf("virsh start took %s; hostd knew web1 by %s, QEMU was connected by %s after its start",
				started, known, time.Since(begun))
			booted(ctx, t, web1)
			h.firstBytes(ctx, t, web1)
			g := h.fed(ctx, t, "web1")
			if g.Class != "gold" || g.Origin != control.OriginLibvirt || g.Domain == nil || g.Domain.UUID != web1.UUID || len(g.Domain.Problems) > 0 {
				t.Errorf("web1 is %+v, domain %+v", g, g.Domain)
			}
			calls := h.status(ctx, t).Libvirt.HookCalls - before
			t.Logf("the hook was called %d times", calls)
			if reload != (calls > 0) {
				t.Errorf("the hook was called %d times", calls)
			}
			h.judge(ctx, t)
			h.destroy(ctx, t, web1, "web1")
		})
	}
}

// judge has hostd say how the host is wired: it tells of the domain, and finds no
// fault.
func (h *host) judge(ctx context.Context, t *testing.T) {
	t.Helper()
	said := h.do(ctx, t, "libvirt", "status")
	for _, word := range []string{"web1", "gold"} {
		if !strings.Contains(said, word) {
			t.Errorf("hostd libvirt status does not tell of %s", word)
		}
	}
	h.do(ctx, t, "libvirt", "doctor")
}
