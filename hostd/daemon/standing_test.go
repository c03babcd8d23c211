package daemon

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/kvm/libvirt"
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
		len(g.Domain.Problems) != 1 || !strings.Contains(g.Domain.Problems[0].Text, "guest web1, which stands for it, has no pipe port:"+h.port("web1")) {
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
	sink{h.Daemon}.Up(wrong, time.Now())
	stranger, err := net.Dial("unix", h.socket("web2"))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	h.gone(stranger)
	h.await(func() bool { return h.guest("by-path").Pipes[1].Refused == 1 })
	h.halt(web1)
	h.halt(web2)
	h.served(conn1) // its QEMU's last moments
	if h.guest("web1").Domain != nil || h.guest("by-path").Domain != nil || len(h.domains) > 0 {
		t.Error("the domains are gone, and are there still")
	}
	// While it is off, no other QEMU draws the share of its guest.
	conn1.Close()
	h.await(func() bool { return !h.guest("web1").Pipes[0].Connected })
	h.noPID("web1")
	h.turnedAway(h.socket("web1"))
	h.boot(web1)
	h.plug(h.socket("web1"))
}

// A client that came before its domain was seen is held to what the others are.
func TestWhoCameBeforeTheDomainIsJudged(t *testing.T) {
	h := host(t, standing)
	h.pid("web1")
	h.pid("web2")
	own, stranger := h.plug(h.socket("web1")), h.plug(h.socket("web2"))
	h.noPID("web2")
	for _, m := range []libvirt.Domain{h.machine("web1", 1, 7), h.machine("web2", 2, 8)} {
		sink{h.Daemon}.Up(m, time.Now())
	}
	h.gone(stranger)
	h.served(own)
	web3 := h.machine("web3", 3, 9)
	web3.RNGs[1].Path = h.dir + "/web3"
	sink{h.Daemon}.Up(web3, time.Now()) // nothing is there yet
	spec := h.spec("web3")
	spec.Pipes = []config.Pipe{{Kind: "qemu", Path: h.dir + "/web3"}}
	if err := h.AddGuest(spec); err != nil {
		t.Fatal(err)
	}
	h.turnedAway(h.dir + "/web3")
	if g := h.guest("web3"); g.Domain == nil || len(g.Domain.Problems) > 0 {
		t.Errorf("%+v", g.Domain)
	}
}

const elsewhere = `
[[guest]]
name = "web1"
pipes = ["egd:DIR/mine", "port:DIR/guests/mine.port"]
`

// The operator has given the domain's guest its sockets elsewhere.
func TestAGuestOfTheDomainsNameHasItsOwnSockets(t *testing.T) {
	h := host(t, elsewhere)
	web := h.machine("web1", 1, 7)
	web.RNGs[1].Path = h.dir + "/mine"
	web.Channels = []libvirt.Channel{{Mode: "connect", Path: h.dir + "/guests/mine.port", Reconnect: 1}}
	h.boot(web)
	if g := h.guest("web1"); g.Domain == nil || len(g.Domain.Problems) > 0 || h.Status().Libvirt.Domains != 1 || len(h.said("domain_miswired")) > 0 {
		t.Errorf("%+v, said %q", g.Domain, h.said("domain_miswired"))
	}
	conn, err := net.Dial("unix", h.dir+"/mine")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	h.asks(conn)
	h.noPID("web1")
	h.turnedAway(h.dir + "/guests/mine.port")
	h.resume(web.UUID, true)
	if h.guest("web1").Seeded {
		t.Error("put back to an earlier state, and counts as seeded")
	}
	h.asks(conn)
	// A domain that only shares the name, or that wants another kind of pipe, is another's.
	h.halt(web)
	stranger := web
	stranger.Channels = nil
	for _, path := range []string{"/srv/other", h.dir + "/guests/mine.port"} {
		stranger.RNGs = []libvirt.RNG{{Backend: "egd", Type: "unix", Mode: "connect", Path: path, Reconnect: 1}}
		sink{h.Daemon}.Up(stranger, time.Now())
		h.resume(stranger.UUID, true)
		if g := h.guest("web1"); g.Domain != nil || !g.Seeded || h.Status().Libvirt.Domains != 0 {
			t.Errorf("at %s: %+v %+v", path, g, g.Domain)
		}
	}
	stranger.RNGs[0].Path = h.socket("web1") // the guest does not have it
	sink{h.Daemon}.Up(stranger, time.Now())
	h.resume(stranger.UUID, true)
	if g := h.guest("web1"); g.Domain == nil || len(g.Domain.Problems) != 1 || !g.Seeded || h.Status().Libvirt.Domains != 0 {
		t.Errorf("%+v %+v", g, g.Domain)
	}
	spec := h.spec("has-it")
	spec.Pipes = []config.Pipe{{Kind: "qemu", Path: h.socket("web1")}}
	if err := h.AddGuest(spec); err != nil {
		t.Fatal(err)
	}
	h.turnedAway(h.socket("web1"))
	if h.guest("web1").Domain != nil || h.guest("has-it").Domain == nil {
		t.Errorf("%+v %+v", h.guest("web1"), h.guest("has-it"))
	}
}

const two = `
[[guest]]
name = "both"
pipes = ["qemu:DIR/guests/web1.sock", "qemu:DIR/guests/web2.sock"]
`

func TestAGuestOfTwoDomains(t *testing.T) {
	h := host(t, two)
	web1, web2 := h.machine("web1", 1, 7), h.machine("web2", 2, 8)
	h.boot(web1)
	h.boot(web2)
	h.halt(web1)
	if g := h.guest("both"); g.Domain == nil || g.Domain.Name != "web2" {
		t.Errorf("%+v", g.Domain)
	}
	h.halt(web2)
	if g := h.guest("both"); g.Domain != nil {
		t.Errorf("%+v", g.Domain)
	}
}

func TestWhoseUserIsNotKnown(t *testing.T) {
	h := host(t, standing)
	defer func(users []string) { qemuUsers = users }(qemuUsers)
	qemuUsers = nil
	for _, name := range []string{"web1", "web3"} {
		m := h.machine(name, len(h.domains), 7+len(h.domains))
		m.UID = nil
		sink{h.Daemon}.Up(m, time.Now())
		if p := h.guest(name).Domain.Problems; len(p) != 1 || !strings.Contains(p[0].Text, "whom its QEMU runs as is not known") {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

// A domain that is no guest has its mistakes told all the same, and a mistake in
// many has no status of any size.
func TestMistakesOfDomainsWithoutAGuest(t *testing.T) {
	h := host(t, "")
	for n := range maxToldProblems + 1 {
		m := h.machine(fmt.Sprintf("web%03d", n), n, n+1)
		m.RNGs[1].Path = h.socket("template")
		sink{h.Daemon}.Up(m, time.Now())
	}
	s := h.Status().Libvirt
	if s.Domains != 0 || s.ProblemCount != maxToldProblems+1 || len(s.Problems) != maxToldProblems {
		t.Fatalf("%d domains, %d of %d problems", s.Domains, len(s.Problems), s.ProblemCount)
	}
	if p := s.Problems[0]; p.Domain != "web000" || p.Kind != control.DomainMiswired || !strings.Contains(p.Text, "hostd libvirt attach web000 --replace") {
		t.Errorf("%+v", p)
	}
}

func (h hosting) noPID(domain string) {
	h.t.Helper()
	if err := os.Remove(filepath.Join(h.dir, "pids", domain+".pid")); err != nil {
		h.t.Fatal(err)
	}
}

// turnedAway fails if a client is served.
func (h hosting) turnedAway(path string) {
	h.t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		h.t.Fatal(err)
	}
	defer conn.Close()
	h.gone(conn)
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
