//go:build linux

package libvirt

import (
	"context"
	"testing"
	"time"

	"headgate/hostd/control"
	"headgate/integration/rig"
)

// TestAnothersSocket starts a domain whose XML names the socket of another one,
// before that and again after it. It gets nothing, the other is served, and events
// say what is wrong.
func TestAnothersSocket(t *testing.T) {
	h := theHost(t)
	ctx := rig.Within(t, time.Minute)
	h.hooked(ctx, t)
	victim := shell(t, "victim", "e7a0c1b2-91ab-4f6e-8a52-0b7a2c1de001", "", egd(guestSocket("victim")))
	thief := shell(t, "thief", "e7a0c1b2-91ab-4f6e-8a52-0b7a2c1de002", policy(`class="gold"`), egd(guestSocket("victim")))
	last := h.hostd.LastEvent(ctx, t)
	start(ctx, t, thief, "--paused")
	start(ctx, t, victim, "--paused")
	g := h.hostd.AwaitGuest(ctx, t, "victim", "it is connected, and the other was refused", func(g control.GuestStatus) bool {
		return connected(g) && g.Pipes[0].Refused > 0
	})
	if g.Domain == nil || g.Domain.UUID != victim.UUID || g.Class != "default" {
		t.Errorf("victim is %+v, %+v", g, g.Domain)
	}
	var miswired string
	for _, e := range h.hostd.Events(ctx, t, last) {
		if e.Kind == "domain_miswired" && e.Subject == "thief" {
			miswired = e.Message
			for _, f := range e.Fields {
				miswired += "; " + f
			}
		}
	}
	t.Logf("miswired: %q", miswired)
	if miswired == "" {
		t.Errorf("no event says that thief is miswired: %+v", h.hostd.Events(ctx, t, last))
	}
	t.Logf("refused: %q", h.refusals(ctx, t, last, "victim"))
	// The thief is started again while the victim is served.
	if err := thief.Destroy(ctx); err != nil {
		t.Fatal(err)
	}
	before := h.pipe(ctx, t, "victim")
	start(ctx, t, thief, "--paused")
	h.hostd.AwaitGuest(ctx, t, "victim", "the other was refused again", func(g control.GuestStatus) bool {
		return g.Pipes[0].Refused > before.Refused
	})
	if now := h.pipe(ctx, t, "victim"); !now.Connected || now.Connections != before.Connections {
		t.Errorf("victim was disconnected: %+v, before %+v", now, before)
	}
	if err := thief.Destroy(ctx); err != nil {
		t.Fatal(err)
	}
	if now := h.pipe(ctx, t, "victim"); !now.Connected {
		t.Errorf("victim went with the other")
	}
	h.destroy(ctx, t, victim, "victim")
	h.only(ctx, t)
}

// TestNamesThatAreNoGuests: a domain whose name cannot be a guest's is fed under
// its UUID.
func TestNamesThatAreNoGuests(t *testing.T) {
	h := theHost(t)
	ctx := rig.Within(t, time.Minute)
	h.hooked(ctx, t)
	for _, c := range []struct{ name, uuid string }{
		{"my web server", "f0b1d2c3-7a10-45be-9d0a-5b1a2c3d4001"},
		{"<web> & 'co' ü", "f0b1d2c3-7a10-45be-9d0a-5b1a2c3d4002"},
		{"-web", "f0b1d2c3-7a10-45be-9d0a-5b1a2c3d4003"},
	} {
		d := shell(t, c.name, c.uuid, "", "")
		h.attached(ctx, t, d, "--config", "--class", "silver")
		start(ctx, t, d, "--paused")
		g := h.hostd.AwaitGuest(ctx, t, c.uuid, "the domain "+c.name+" is connected", connected)
		if g.Class != "silver" || g.Domain.Name != c.name {
			t.Errorf("%s is %+v, %+v", c.name, g, g.Domain)
		}
		h.destroy(ctx, t, d, c.uuid)
	}
}

// attached runs hostd libvirt attach for a domain, by its name.
func (h *host) attached(ctx context.Context, t *testing.T, d *rig.Domain, args ...string) {
	t.Helper()
	h.do(ctx, t, append(append([]string{"libvirt", "attach"}, args...), "--", d.Name)...)
}
