package daemon

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"headgate/hostd/control"
	"headgate/hostd/events"
	"headgate/kvm/libvirt"
)

// hosting is a daemon with a supply in plenty, and this process in the place of
// every domain's QEMU.
type hosting struct{ *rig }

const plenty = `
[[source]]
name = "plenty"
type = "file"
path = "/dev/urandom"
min_entropy = 8
`

// host runs a daemon that is told of domains by its hook alone, with more
// configuration if need be.
func host(t testing.TB, more string) hosting {
	t.Helper()
	// t.TempDir has names that are too long for a folder of sockets.
	dir, err := os.MkdirTemp("", "hg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Mkdir(filepath.Join(dir, "pids"), 0o755); err != nil {
		t.Fatal(err)
	}
	return hosting{start(t, dir, plenty+more+"[libvirt]\nfollow = false\nguests = \"DIR/guests\"\npids = \"DIR/pids\"\n")}
}

func (h hosting) rewrite(more string) {
	h.t.Helper()
	h.write(plenty + more + "[libvirt]\nfollow = false\nguests = \"DIR/guests\"\npids = \"DIR/pids\"\n")
	if err := h.Reload(); err != nil {
		h.t.Fatal(err)
	}
}

// uuidOf is a UUID for each number.
func uuidOf(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012x", n) }

// machine is a domain as libvirt tells of it when it runs.
func (h hosting) machine(name string, n, id int) libvirt.Domain {
	uid := uint32(os.Getuid())
	return libvirt.Domain{Name: name, UUID: uuidOf(n), ID: id, UID: &uid, RNGs: []libvirt.RNG{
		{Backend: "random", Path: "/dev/urandom"},
		{Backend: "egd", Type: "unix", Mode: "connect", Path: h.socket(name), Reconnect: 1},
	}}
}

func (h hosting) socket(guest string) string { return filepath.Join(h.dir, "guests", guest+".sock") }
func (h hosting) port(guest string) string   { return filepath.Join(h.dir, "guests", guest+".port") }

// withPort has a channel, too.
func (h hosting) withPort(m libvirt.Domain) libvirt.Domain {
	m.Channels = []libvirt.Channel{{Mode: "connect", Path: h.port(m.Name), Reconnect: 1}}
	return m
}

func (h hosting) vhost(guest string) string {
	return filepath.Join(h.dir, "guests", guest+".vhost", "sock")
}

// withVhost has a vhost-user device, too.
func (h hosting) withVhost(m libvirt.Domain) libvirt.Domain {
	m.Vhosts = []libvirt.Vhost{{Path: h.vhost(m.Name), Server: true, Wait: true}}
	return m
}

func (h hosting) hook(op string, m libvirt.Domain) {
	h.t.Helper()
	if err := h.Hook(control.HookCall{Op: op, Domain: m}); err != nil {
		h.t.Fatalf("%s of %s: %v", op, m.Name, err)
	}
}

// boot tells what libvirt's hook does when a domain starts.
func (h hosting) boot(m libvirt.Domain) {
	h.t.Helper()
	h.hook("prepare", unlabelled(m))
	h.hook("start", m)
	h.hook("started", m)
	h.pid(m.Name)
}

// unlabelled is a domain before libvirt has drawn its labels, which is after prepare.
// Who is not root cannot give a socket to whom QEMU may run as.
func unlabelled(m libvirt.Domain) libvirt.Domain {
	if os.Getuid() == 0 {
		m.UID = nil
	}
	return m
}

func (h hosting) halt(m libvirt.Domain) {
	h.t.Helper()
	h.hook("stopped", m)
	h.hook("release", m)
}

// pid says, as libvirt does, that this process is the domain's QEMU.
func (h hosting) pid(domain string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, "pids", domain+".pid"), []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

// dial connects to a socket until the test ends.
func (h hosting) dial(path string) net.Conn {
	h.t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { conn.Close() })
	return conn
}

// plug connects to a socket as QEMU does, and takes what comes unasked: 64 bytes,
// with which the guest is seeded.
func (h hosting) plug(path string) net.Conn {
	h.t.Helper()
	conn := h.dial(path)
	h.takes(conn)
	return conn
}

func (h hosting) takes(conn net.Conn) {
	h.t.Helper()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.ReadFull(conn, make([]byte, 64)); err != nil {
		h.t.Fatalf("64 bytes: %v", err)
	}
}

// asks reads 64 bytes as the guest's kernel does.
func (h hosting) asks(conn net.Conn) {
	h.t.Helper()
	if _, err := conn.Write([]byte{2, 64}); err != nil {
		h.t.Fatal(err)
	}
	h.takes(conn)
}

// gone fails if a connection is still served.
func (h hosting) gone(conn net.Conn) {
	h.t.Helper()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.Copy(io.Discard, conn); err != nil && os.IsTimeout(err) {
		h.t.Fatal("it is still connected")
	}
}

// served fails if a connection is not.
func (h hosting) served(conn net.Conn) {
	h.t.Helper()
	h.asks(conn)
}

func (h hosting) has(guest string) bool {
	return slices.ContainsFunc(h.Status().Guests, func(g control.GuestStatus) bool { return g.Name == guest })
}

// said are the messages of the events of a kind.
func (h hosting) said(kind string) (messages []string) {
	for _, e := range h.Events().Since(0) {
		if e.Kind == kind {
			messages = append(messages, e.Subject+": "+e.Message)
		}
	}
	return messages
}

func (h hosting) levelOf(kind string) (level events.Event) {
	for _, e := range h.Events().Since(0) {
		if e.Kind == kind {
			level = e
		}
	}
	return level
}

// leftOver are the sockets that are there.
func (h hosting) leftOver() []string {
	entries, err := os.ReadDir(filepath.Join(h.dir, "guests"))
	if err != nil && !os.IsNotExist(err) {
		h.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func block(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func unblock(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}
