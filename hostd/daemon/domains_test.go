package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/kvm/libvirt"
)

func TestADomainIsAGuestAsLongAsItRuns(t *testing.T) {
	h := host(t, "")
	web := h.machine("web1", 1, 7)
	h.boot(web)
	info, err := os.Lstat(h.socket("web1"))
	if err != nil {
		t.Fatal(err)
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; info.Mode().Perm() != 0o600 || uid != uint32(os.Getuid()) {
		t.Errorf("its socket has mode %v and owner %d", info.Mode(), uid)
	}
	conn := h.plug(h.socket("web1"))
	g := h.guest("web1")
	if g.Origin != control.OriginLibvirt || !g.Transient || g.Class != "default" || !g.Seeded || !g.Pipes[0].Connected {
		t.Errorf("guest %+v", g)
	}
	if g.Domain == nil || g.Domain.Name != "web1" || g.Domain.UUID != uuidOf(1) || g.Domain.ID != 7 || len(g.Domain.Problems) > 0 {
		t.Errorf("domain %+v", g.Domain)
	}
	if s := h.Status().Libvirt; s.Domains != 1 || s.HookCalls != 3 || s.LastHook.IsZero() || s.Follow || s.Guests != h.dir+"/guests" {
		t.Errorf("libvirt %+v", s)
	}
	h.halt(web)
	h.gone(conn)
	if len(h.Status().Guests) != 0 || len(h.leftOver()) != 0 || h.Status().Libvirt.Domains != 0 {
		t.Errorf("left over: %+v, %v", h.Status().Guests, h.leftOver())
	}
	if _, err := os.Lstat(h.dir + "/state.json"); !errors.Is(err, fs.ErrNotExist) {
		t.Error("it is in the state file")
	}
	h.halt(web) // once more, as the events say it, too
	h.boot(web)
	if h.guest("web1").Seeded {
		t.Error("its next life is seeded before it had anything")
	}
}

func TestTheHookOverTheSocket(t *testing.T) {
	h := host(t, "")
	c := control.Dial(h.dir + "/control.sock")
	defer c.Close()
	web := h.machine("web1", 1, 7)
	tell := func(op string) {
		t.Helper()
		if err := c.Hook(t.Context(), control.HookCall{Op: op, Domain: web}); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 { // so fast that only the times tell them apart
		tell("prepare")
		tell("started")
		if g, err := c.Guest(t.Context(), "web1"); err != nil || g.Domain == nil || g.Domain.ID != 7 {
			t.Fatalf("%+v, %v", g, err)
		}
		tell("stopped")
		tell("release")
		if _, err := c.Guest(t.Context(), "web1"); !errors.Is(err, control.ErrNotFound) {
			t.Fatal(err)
		}
	}
}

func TestADomainWithNothingOfOursIsNoGuest(t *testing.T) {
	h := host(t, "")
	other := h.machine("other", 1, 7)
	other.RNGs = append(other.RNGs[:1], libvirt.RNG{Backend: "egd", Type: "unix", Mode: "connect", Path: "/srv/other.sock"},
		libvirt.RNG{Backend: "egd", Type: "tcp", Mode: "connect"}, libvirt.RNG{Backend: "builtin"})
	h.boot(other)
	sink{h.Daemon}.Up(other, time.Now())
	if len(h.Status().Guests)+len(h.leftOver())+h.Status().Libvirt.Domains+len(h.said("domain_miswired")) > 0 {
		t.Errorf("%+v %v %v", h.Status().Guests, h.leftOver(), h.said("domain_miswired"))
	}
	other.RNGs = slices.Delete(other.RNGs, 1, 2)
	sink{h.Daemon}.Up(other, time.Now())
	if len(h.domains) > 0 { // no socket of it can become ours
		t.Errorf("it is kept: %v", h.domains)
	}
}

func TestOnlyTheDomainsQEMUIsLetIn(t *testing.T) {
	h := host(t, "")
	h.boot(h.machine("web1", 1, 7))
	if err := os.WriteFile(h.dir+"/pids/web1.pid", []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("unix", h.socket("web1"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	h.gone(conn)
	h.await(func() bool { return h.guest("web1").Pipes[0].Refused > 0 })
	if g := h.guest("web1"); g.Pipes[0].Refused != 1 || g.Pipes[0].Connections != 0 {
		t.Errorf("%+v", g.Pipes)
	}
}

// A hot-plugged port comes and goes, and QEMU's connection stays.
func TestDevicesComeAndGoOneByOne(t *testing.T) {
	h := host(t, "")
	web := h.machine("web1", 1, 7)
	h.boot(web)
	conn := h.plug(h.socket("web1"))
	both := h.withPort(web)
	h.hook("attach", both)
	sink{h.Daemon}.Up(web, time.Now()) // it is not attached yet
	if p := h.guest("web1").Pipes; len(p) != 2 || p[1].Kind != "port" {
		t.Fatalf("pipes %+v", p)
	}
	port, err := net.Dial("unix", h.port("web1"))
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	sink{h.Daemon}.Up(both, time.Now())
	h.served(conn)
	sink{h.Daemon}.Up(web, time.Now()) // and detached
	h.gone(port)
	h.served(conn)
	if g := h.guest("web1"); len(g.Pipes) != 1 || g.Pipes[0].Connections != 1 {
		t.Errorf("%+v", g)
	}
	web.RNGs = web.RNGs[:1]
	sink{h.Daemon}.Up(web, time.Now())
	h.gone(conn)
	if h.has("web1") || len(h.leftOver())+len(h.domains) > 0 {
		t.Errorf("left over: %v %v", h.leftOver(), h.domains)
	}
}

// An attach that comes to nothing leaves nothing over, once libvirt was looked at.
func TestAPromiseIsBelievedForAWhile(t *testing.T) {
	h := host(t, "")
	web := h.machine("web1", 1, 7)
	bare := web
	bare.RNGs = nil
	h.hook("attach", web)
	sink{h.Daemon}.Up(bare, time.Now())
	if !h.has("web1") {
		t.Fatal("the socket is gone before QEMU could connect")
	}
	h.mu.Lock()
	h.domains[web.UUID].until = time.Now().Add(-time.Second)
	h.mu.Unlock()
	sink{h.Daemon}.Up(bare, time.Now())
	if h.has("web1") || len(h.leftOver())+len(h.domains) > 0 {
		t.Errorf("left over: %v %v", h.leftOver(), h.domains)
	}
	for name, tc := range map[string]struct {
		domain libvirt.Domain
		say    string
	}{
		"no device": {bare, "no device of it connects to hostd; its own sockets are " + h.socket("web1")},
		"another's": {func() libvirt.Domain { d := h.machine("web2", 2, 8); d.Name = "web1"; return d }(), "no device of it connects"},
	} {
		err := h.Hook(control.HookCall{Op: control.OpAttach, Domain: tc.domain})
		if !errors.Is(err, control.ErrInvalid) || !strings.Contains(err.Error(), tc.say) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

const gold = `
[[class]]
name = "gold"
rate = "64KiB/s"
weight = 9
selectable = true
[[class]]
name = "hosts"
rate = "unlimited"
`

func TestPolicyOfADomain(t *testing.T) {
	h := host(t, gold)
	web := h.machine("web1", 1, 7)
	web.Policy = &libvirt.Policy{Class: "gold", Weight: "3"}
	h.boot(web)
	conn := h.plug(h.socket("web1"))
	if g := h.guest("web1"); g.Class != "gold" || g.Rate != 64<<10 || g.Weight != 3 {
		t.Errorf("%+v", g)
	}
	weight := 5
	if err := h.SetGuest("web1", control.GuestPatch{Weight: &weight}); err != nil {
		t.Fatal(err)
	}
	sink{h.Daemon}.Up(web, time.Now())
	if g := h.guest("web1"); g.Weight != 5 {
		t.Errorf("what was set live was lost: %+v", g)
	}
	web.Policy = &libvirt.Policy{Class: "hosts", Weight: "3"}
	for range 3 {
		sink{h.Daemon}.Up(web, time.Now())
	}
	if g := h.guest("web1"); g.Class != "default" || g.Rate != 1<<10 || g.Weight != 1 || len(g.Domain.Problems) != 1 {
		t.Errorf("%+v", g)
	}
	said := h.said("domain_policy")
	if len(said) != 1 || !strings.Contains(said[0], `web1: domain web1: policy class: a domain may not choose class "hosts"`) {
		t.Errorf("said %q", said)
	}
	h.rewrite(strings.ReplaceAll(gold, `"unlimited"`, `"unlimited"`+"\nselectable = true"))
	if g := h.guest("web1"); g.Class != "hosts" || g.Rate != config.Unlimited || g.Weight != 1 || len(g.Domain.Problems) != 1 {
		t.Errorf("after a reload: %+v, %+v", g, g.Domain) // the weight is above the class's
	}
	h.rewrite("")
	if g := h.guest("web1"); g.Class != "default" || len(g.Domain.Problems) != 1 {
		t.Errorf("the class is gone: %+v", g)
	}
	h.served(conn)
}

func TestMiswiredDevices(t *testing.T) {
	h := host(t, "")
	for name, tc := range map[string]struct {
		change func(*libvirt.Domain)
		pipes  int
		say    string // nothing: it is right
	}{
		"right":              {func(*libvirt.Domain) {}, 1, ""},
		"a clone":            {func(d *libvirt.Domain) { d.RNGs[1].Path = h.socket("web0") }, 0, fmt.Sprintf("its rng device connects to %q, and not to its own socket %s: hostd libvirt attach web1 --replace mends it", h.socket("web0"), h.socket("web1"))},
		"by a detour":        {func(d *libvirt.Domain) { d.RNGs[1].Path = h.dir + "/x/../guests/web1.sock" }, 0, "and not to its own socket"},
		"the port's socket":  {func(d *libvirt.Domain) { d.RNGs[1].Path = h.port("web1") }, 0, "and not to its own socket"},
		"bound":              {func(d *libvirt.Domain) { d.RNGs[1].Mode = "bind" }, 0, "its rng device at " + h.socket("web1") + " waits there itself, where hostd does: hostd libvirt attach web1 --replace mends it"},
		"no reconnect":       {func(d *libvirt.Domain) { d.RNGs[1].Reconnect = 0 }, 1, "does not reconnect"},
		"twice":              {func(d *libvirt.Domain) { d.RNGs = append(d.RNGs, d.RNGs[1]) }, 1, "is there twice"},
		"through /var/run":   {func(d *libvirt.Domain) { d.RNGs[1].Path = "/var/run/hg/guests/web1.sock" }, 0, `its rng device connects to "/var/run/hg/guests/web1.sock", and not to its own socket /run/hg/guests/web1.sock`},
		"too long a folder":  {func(d *libvirt.Domain) { d.RNGs[1].Path = h.long().GuestSocket(d.Name) }, 0, "bytes long; allowed: an absolute path of at most 107 bytes without . or .. in it: give libvirt.guests a shorter path in hostd's configuration, or the domain a shorter name"},
		"a foreign folder":   {func(d *libvirt.Domain) { d.RNGs[1].Path = h.dir + "/guests2/web1.sock" }, 0, ""},
		"port of another":    {func(d *libvirt.Domain) { *d = h.withPort(*d); d.Channels[0].Path = h.port("web2") }, 1, "its channel connects to"},
		"port that forgets":  {func(d *libvirt.Domain) { *d = h.withPort(*d); d.Channels[0].Reconnect = 0 }, 2, "hostd was restarted: hostd libvirt attach web1 --port --replace mends it"},
		"port that relabels": {func(d *libvirt.Domain) { *d = h.withPort(*d); d.Channels[0].Relabels = true }, 2, "its channel has no <seclabel model='dac' relabel='no'/>"},
		"vhost-user":         {func(d *libvirt.Domain) { *d = h.withVhost(*d) }, 2, ""},
		"vhost-user of another": {func(d *libvirt.Domain) { *d = h.withVhost(*d); d.Vhosts[0].Path = h.vhost("web2") }, 1,
			fmt.Sprintf("its vhost-user device is at %q, and not at its own socket %s: hostd libvirt attach web1 --vhost-user --replace mends it", h.vhost("web2"), h.vhost("web1"))},
		"vhost-user that connects":  {func(d *libvirt.Domain) { *d = h.withVhost(*d); d.Vhosts[0].Server = false }, 1, "its vhost-user device at " + h.vhost("web1") + " connects there itself"},
		"vhost-user without memory": {func(d *libvirt.Domain) { *d = h.withVhost(*d); d.Vhosts[0].Private = true }, 2, "its vhost-user device has memory that is not shared"},
		"a thousand of them":        {func(d *libvirt.Domain) { d.RNGs = make([]libvirt.RNG, 1000); fill(d, h.socket("x")) }, 0, "its rng device connects to"},
	} {
		t.Run(name, func(t *testing.T) {
			domain := h.machine("web1", 1, 7)
			tc.change(&domain)
			l := h.config.Libvirt
			switch path := domain.RNGs[1].Path; {
			case strings.HasPrefix(path, "/var/run/"):
				l.Guests = "/run/hg/guests"
			case strings.HasPrefix(path, h.long().Guests):
				l = h.long()
			}
			pipes, wrong := wiring(l, domain, nil)
			if len(pipes) != tc.pipes || (len(wrong) == 0) != (tc.say == "") || len(wrong) > 0 && !strings.Contains(wrong[0], tc.say) || len(wrong) > maxProblems {
				t.Errorf("pipes %v, wrong %q", pipes, wrong)
			}
		})
	}
	clone := h.machine("web1", 1, 7)
	clone.Name, clone.UUID = "it's a clone", uuidOf(2)
	for range 3 {
		sink{h.Daemon}.Up(clone, time.Now())
	}
	if said := h.said("domain_miswired"); len(said) != 1 || !strings.Contains(said[0], `hostd libvirt attach 'it'\''s a clone' --replace`) {
		t.Errorf("said %q", said)
	}
	if h.has("web1") || len(h.leftOver()) > 0 {
		t.Error("a clone got the socket of its twin")
	}
	sink{h.Daemon}.Down(clone.UUID, "", time.Now())
	if len(h.domains) > 0 {
		t.Errorf("left over: %v", h.domains)
	}
}

// long has the longest folder that can be, and more.
func (h hosting) long() config.Libvirt {
	return config.Libvirt{Guests: "/" + strings.Repeat("x", 100)}
}

func fill(d *libvirt.Domain, path string) {
	for i := range d.RNGs {
		d.RNGs[i] = libvirt.RNG{Backend: "egd", Type: "unix", Mode: "connect", Path: path}
	}
}

func TestANewDomainOfTheSameNameIsAnother(t *testing.T) {
	h := host(t, "")
	h.boot(h.machine("web1", 1, 7))
	old := h.plug(h.socket("web1"))
	h.boot(h.machine("web1", 2, 8))
	h.gone(old)
	if g := h.guest("web1"); g.Seeded || g.Bytes != 0 || g.Domain.UUID != uuidOf(2) || len(h.domains) != 1 {
		t.Errorf("%+v %+v", g, g.Domain)
	}
	sink{h.Daemon}.Down(uuidOf(1), "web1", time.Now()) // the end of the first comes late
	h.plug(h.socket("web1"))
}

func TestADomainGoesByItsUUIDIfItMust(t *testing.T) {
	h := host(t, "")
	web := h.machine(uuidOf(1), 1, 7)
	web.Name = "name with spaces"
	h.boot(web)
	h.plug(h.socket(uuidOf(1)))
	if g := h.guest(uuidOf(1)); g.Domain.Name != "name with spaces" {
		t.Errorf("%+v", g.Domain)
	}
}

func TestLimitsAreTheOperators(t *testing.T) {
	h := host(t, "")
	web := h.machine("web1", 1, 7)
	web.Policy = &libvirt.Policy{Class: "gold"}
	h.boot(web)
	if err := h.RemoveGuest("web1"); !errors.Is(err, control.ErrInvalid) || !strings.Contains(err.Error(), "hostd libvirt detach") {
		t.Errorf("removed: %v", err)
	}
	if err := h.AddGuest(h.spec("web1")); !errors.Is(err, control.ErrExists) {
		t.Errorf("added: %v", err)
	}
	taken := h.spec("other")
	taken.Pipes = []config.Pipe{{Kind: "egd", Path: h.socket("web1")}}
	if err := h.AddGuest(taken); err == nil || !strings.Contains(err.Error(), "is taken by guest web1") {
		t.Errorf("its socket was given to another: %v", err)
	}
}
