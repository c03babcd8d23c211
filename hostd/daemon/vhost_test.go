package daemon

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/kvm"
	"headgate/kvm/libvirt"
)

// qemuListens makes a socket as the QEMU of a domain does, and takes in who connects.
func (h hosting) qemuListens(path string) (l *net.UnixListener, accept func() net.Conn) {
	h.t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { l.Close() })
	return l, func() net.Conn {
		h.t.Helper()
		if err := l.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
			h.t.Fatal(err)
		}
		conn, err := l.Accept()
		if err != nil {
			h.t.Fatalf("hostd does not connect: %v", err)
		}
		h.t.Cleanup(func() { conn.Close() })
		return conn
	}
}

// vhostAlone is a domain with no other device.
func (h hosting) vhostAlone(name string, n, id int) libvirt.Domain {
	m := h.withVhost(h.machine(name, n, id))
	m.RNGs = nil
	return m
}

// The folder is there before QEMU starts, hostd connects when it listens, and both are
// gone when it is.
func TestADomainWithAVhostUserDevice(t *testing.T) {
	h := host(t, "")
	web := h.vhostAlone("web1", 1, 7)
	h.hook("prepare", unlabelled(web))
	if info, err := os.Stat(filepath.Dir(h.vhost("web1"))); err != nil || !info.IsDir() {
		t.Fatalf("%v %v", info, err)
	}
	h.pid("web1")
	h.hook("start", web)
	qemu, accept := h.qemuListens(h.vhost("web1"))
	accept()
	h.hook("started", web)
	want := config.Pipe{Kind: config.VhostUser, Path: h.vhost("web1")}
	h.await(func() bool {
		p := h.guest("web1").Pipes
		return len(p) == 1 && p[0].Kind == want.Kind && p[0].Path == want.Path && p[0].Connected
	})
	if g := h.guest("web1"); g.Origin != control.OriginLibvirt || g.Domain == nil || len(g.Domain.Problems) > 0 || g.Pipes[0].Connections != 1 {
		t.Errorf("%+v %+v", g, g.Domain)
	}
	qemu.Close()
	h.halt(web)
	if h.has("web1") || len(h.leftOver())+len(h.domains) > 0 {
		t.Errorf("left over: %v %v", h.leftOver(), h.domains)
	}
}

// At the socket of a domain's vhost-user device only its own QEMU is served.
func TestOnlyTheDomainsQEMUIsConnectedTo(t *testing.T) {
	h := host(t, "")
	web := h.vhostAlone("web1", 1, 7)
	h.boot(web)
	if err := os.WriteFile(h.dir+"/pids/web1.pid", []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, accept := h.qemuListens(h.vhost("web1"))
	h.gone(accept())
	h.await(func() bool { return h.guest("web1").Pipes[0].Refused > 0 })
	if p := h.guest("web1").Pipes[0]; p.Connections != 0 {
		t.Errorf("%+v", p)
	}
}

// A guest of the configuration that stands for a domain, in either role.
func TestAVhostUserPipeOfTheConfiguration(t *testing.T) {
	h := host(t, "[[guest]]\nname = \"web1\"\npipes = [\"vhost-user:DIR/a/sock\", \"vhost-user:DIR/b/sock,server=on\"]\n")
	for _, tc := range []struct {
		vhost libvirt.Vhost
		wrong int
	}{
		{libvirt.Vhost{Path: h.dir + "/a/sock", Server: true, Wait: true}, 0},
		{libvirt.Vhost{Path: h.dir + "/a/sock"}, 1},
		{libvirt.Vhost{Path: h.dir + "/b/sock"}, 0},
		{libvirt.Vhost{Path: h.dir + "/b/sock", Server: true, Wait: true}, 1},
	} {
		web := h.machine("web1", 1, 7)
		web.RNGs, web.Vhosts = nil, []libvirt.Vhost{tc.vhost}
		h.boot(web)
		if g := h.guest("web1"); tc.wrong == 0 && (g.Domain == nil || len(g.Domain.Problems) > 0) {
			t.Errorf("%+v: %+v", tc.vhost, g.Domain)
		}
		h.mu.Lock()
		pipes, wrong := wiring(h.config.Libvirt, web, h.guests["web1"])
		h.mu.Unlock()
		if len(wrong) != tc.wrong || len(pipes) != 1-tc.wrong {
			t.Errorf("%+v: %v %q", tc.vhost, pipes, wrong)
		}
		h.halt(web)
	}
}

// What an earlier hostd made, and no QEMU has any more, goes. What lives, is new, or
// somebody else made, stays.
func TestDeadFoldersOfAnEarlierHostdAreRemoved(t *testing.T) {
	h := host(t, "")
	h.boot(h.vhostAlone("web1", 1, 7))
	for _, name := range []string{"gone", "empty", "live", "full", "young", "..vhost"} {
		path := h.vhost(name)
		if _, err := kvm.Open(kvm.Options{Kind: kvm.VhostUser, Dial: true, Socket: kvm.Socket{Path: path, UID: os.Getuid(), GID: -1}}); err != nil {
			t.Fatal(err) // and is not closed: it was killed
		}
		switch name {
		case "gone":
			h.killed(path, false)
		case "live":
			h.qemuListens(path)
		case "full":
			if err := os.WriteFile(path+".txt", nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Mkdir(h.dir+"/guests/others.vhost", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, left := range h.leftOver() {
		if left != "young.vhost" {
			h.ages(h.dir + "/guests/" + left)
		}
	}
	sink{h.Daemon}.All(nil, []string{uuidOf(1)}, time.Now())
	want := []string{"..vhost.vhost", "full.vhost", "live.vhost", "others.vhost", "web1.vhost", "young.vhost"}
	if left := h.leftOver(); !slices.Equal(left, want) {
		t.Errorf("left are %q, want %q", left, want)
	}
	if said := h.said("sockets_removed"); len(said) != 1 || !strings.HasSuffix(said[0], h.dir+"/guests: 2") {
		t.Errorf("said %q", said)
	}
}
