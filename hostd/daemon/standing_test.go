package daemon

import (
	"net"
	"strings"
	"testing"
	"time"

	"headgate/hostd/config"
	"headgate/hostd/control"
)

const standing = `
[[guest]]
name = "web1"
rate = "3KiB/s"
pipes = ["qemu:DIR/guests/web1.sock"]
[[guest]]
name = "by-path"
pipes = ["egd:DIR/own", "qemu:DIR/guests/web2.sock"]
`

// A guest of the configuration, by name or by path, stands for the domain.
func TestAGuestOfTheConfigurationStays(t *testing.T) {
	h := host(t, standing)
	web1, web2 := h.withPort(h.machine("web1", 1, 7)), h.machine("web2", 2, 8)
	h.boot(web1)
	h.boot(web2)
	conn1, conn2 := h.plug(h.socket("web1")), h.plug(h.socket("web2"))
	if g := h.guest("web1"); g.Origin != control.OriginConfig || g.Rate != 3<<10 || g.Transient || g.Domain == nil || g.Domain.ID != 7 ||
		len(g.Domain.Problems) != 1 || !strings.Contains(g.Domain.Problems[0], "guest web1, which stands for it, has no pipe port:"+h.port("web1")) {
		t.Errorf("%+v %+v", g, g.Domain)
	}
	if g := h.guest("by-path"); g.Domain == nil || g.Domain.Name != "web2" || h.has("web2") {
		t.Errorf("%+v", g)
	}
	if s := h.Status().Libvirt; s.Domains != 2 {
		t.Errorf("%+v", s)
	}
	err := h.Hook(control.HookCall{Op: control.OpAttach, Domain: web1})
	if err == nil || !strings.Contains(err.Error(), "has no pipe port:") {
		t.Errorf("a port that cannot be: %v", err)
	}
	// Its own other pipes are whose they were, the domain's are for its QEMU alone.
	own, err := net.Dial("unix", h.dir+"/own")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	h.asks(own)
	conn2.Close()
	h.await(func() bool { return !h.guest("by-path").Pipes[1].Connected })
	web2pid := h.machine("other", 3, 9)
	h.pid(web2pid.Name)
	h.boot(web2)
	wrong := web2
	wrong.UID = new(uint32)
	*wrong.UID = 12345
	sink{h.Daemon}.Up(wrong, false, time.Now())
	stranger, err := net.Dial("unix", h.socket("web2"))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	h.gone(stranger)
	h.await(func() bool { return h.guest("by-path").Pipes[1].Refused == 1 })
	h.halt(web1)
	h.halt(web2)
	h.served(conn1) // whom the operator's socket lets in
	h.plug(h.socket("web2"))
	if h.guest("web1").Domain != nil || h.guest("by-path").Domain != nil || len(h.domains) > 0 {
		t.Error("the domains are gone, and are there still")
	}
}

// What the operator adds or writes takes the domain's own guest's place, and gives
// it back.
func TestGuestsTakeTurns(t *testing.T) {
	h := host(t, "")
	web := h.machine("web1", 1, 7)
	h.boot(web)
	conn := h.plug(h.socket("web1"))
	h.rewrite(standing)
	h.gone(conn)
	if g := h.guest("web1"); g.Origin != control.OriginConfig || g.Domain == nil || g.Domain.ID != 7 {
		t.Errorf("%+v", g)
	}
	conn = h.plug(h.socket("web1"))
	h.rewrite(standing) // nothing changes
	h.served(conn)
	h.rewrite("")
	h.gone(conn)
	if g := h.guest("web1"); g.Origin != control.OriginLibvirt || g.Domain == nil || g.Seeded {
		t.Errorf("%+v", g)
	}
	h.plug(h.socket("web1"))
	h.halt(web)

	spec := h.spec("web1")
	spec.Pipes = []config.Pipe{{Kind: "qemu", Path: h.socket("web1")}}
	if err := h.AddGuest(spec); err != nil {
		t.Fatal(err)
	}
	h.boot(web)
	if g := h.guest("web1"); g.Origin != control.OriginAPI || g.Domain == nil {
		t.Errorf("%+v", g)
	}
	if err := h.RemoveGuest("web1"); err != nil {
		t.Fatal(err)
	}
	if g := h.guest("web1"); g.Origin != control.OriginLibvirt || g.Domain == nil {
		t.Errorf("%+v", g)
	}
	h.plug(h.socket("web1"))
}

// await waits for what happens in a goroutine.
func (h hosting) await(happened func() bool) {
	h.t.Helper()
	for end := time.Now().Add(10 * time.Second); !happened(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			h.t.Fatal("it does not happen")
		}
	}
}
