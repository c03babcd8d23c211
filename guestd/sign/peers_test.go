//go:build linux

package sign

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"headgate/guestd/kernel"
	"headgate/wire/feed"
)

// attribute and message are what the kernel would send, as this machine orders it.
func attribute(kind uint16, value []byte) []byte {
	b := append(n16(uint16(4+len(value))), n16(kind)...)
	return pad(append(b, value...))
}

func message(kind uint16, attributes ...[]byte) []byte {
	body := append(make([]byte, unix.SizeofIfInfomsg), slices.Concat(attributes...)...)
	b := append(n32(uint32(unix.SizeofNlMsghdr+len(body))), n16(kind)...)
	return append(append(b, make([]byte, 10)...), body...)
}

func n16(n uint16) []byte { return []byte{byte(net16(n) >> 8), byte(net16(n))} }
func n32(n uint32) []byte {
	m := net32(n)
	return []byte{byte(m >> 24), byte(m >> 16), byte(m >> 8), byte(m)}
}
func pad(b []byte) []byte   { return append(b, make([]byte, -len(b)&3)...) }
func event(n uint32) []byte { return attribute(unix.IFLA_EVENT, n32(n)) }

var (
	name     = attribute(unix.IFLA_IFNAME, []byte("eth0\x00"))
	stats    = attribute(unix.IFLA_STATS64, make([]byte, 200))
	announce = message(unix.RTM_NEWLINK, name, event(notifyPeers), stats)
)

// messages are well-formed ones, and whether they are announcements.
var messages = []struct {
	name string
	b    []byte
	want bool
}{
	{"announcement", announce, true},
	{"flagged", message(unix.RTM_NEWLINK, attribute(unix.IFLA_EVENT|1<<15, n32(notifyPeers))), true},
	{"first", message(unix.RTM_NEWLINK, event(notifyPeers), name), true},
	{"another event", message(unix.RTM_NEWLINK, name, event(5), stats), false},
	{"no event", message(unix.RTM_NEWLINK, name, stats), false},
	{"nothing", message(unix.RTM_NEWLINK), false},
	{"link gone", message(unix.RTM_DELLINK, name, event(notifyPeers)), false},
	{"in another", message(unix.RTM_NEWLINK, attribute(unix.IFLA_LINKINFO, event(notifyPeers))), false},
}

func TestAnnounced(t *testing.T) {
	for _, m := range messages {
		if got := announced(m.b); got != m.want {
			t.Errorf("%s: %v", m.name, got)
		}
		if got := announced(slices.Concat(message(unix.RTM_DELLINK, name), m.b)); got != m.want {
			t.Errorf("%s, the second of two: %v", m.name, got)
		}
	}
	for n := range len(announce) - len(stats) {
		if announced(announce[:n]) {
			t.Errorf("%d bytes of it are enough", n)
		}
	}
}

func FuzzAnnounced(f *testing.F) {
	for _, m := range messages {
		f.Add(m.b)
	}
	f.Add(slices.Concat(messages[3].b, announce))
	short := slices.Clone(announce)
	copy(short, n32(3))
	f.Add(short)
	f.Fuzz(func(t *testing.T, b []byte) {
		got := announced(b)
		if got {
			found := false // there is no announcement without these eight bytes, on a boundary
			for i := attributesAt; i+8 <= len(b); i += 4 {
				v := b[i : i+8]
				found = found || u16(v) >= 8 && u16(v[2:])&attributeType == unix.IFLA_EVENT && u32(v[4:]) == notifyPeers
			}
			if !found {
				t.Error("a sign out of nothing")
			}
			if !announced(append(bytes.Clone(b), 0xff)) {
				t.Error("what comes after it matters")
			}
		}
		if got != announced(bytes.Clone(b)) {
			t.Error("it depends on what is behind the slice")
		}
		if !announced(slices.Concat(announce, b)) {
			t.Error("an announcement is not seen")
		}
		if announced(slices.Concat(messages[3].b, b)) != got {
			t.Error("a message before it matters")
		}
	})
}

// The filter in the kernel says the same as the parser, of every message and of every
// announcement that is a little wrong.
func TestFilter(t *testing.T) {
	here, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_USERSOCK)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(here) }()
	if err := unix.Bind(here, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptSockFprog(here, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, announcements()); err != nil {
		t.Fatal(err)
	}
	to, err := unix.Getsockname(here)
	if err != nil {
		t.Fatal(err)
	}
	passes := func(b []byte) bool {
		t.Helper()
		switch err := unix.Sendto(here, b, 0, to); {
		case errors.Is(err, unix.EPERM), errors.Is(err, unix.ECONNREFUSED): // dropped
		case err != nil:
			t.Fatal(err)
		}
		var got [messageMax]byte
		n, _, err := unix.Recvfrom(here, got[:], 0)
		if errors.Is(err, unix.EAGAIN) {
			return false
		}
		if err != nil || !bytes.Equal(got[:n], b) {
			t.Fatalf("%d of %d bytes, %v", n, len(b), err)
		}
		return true
	}
	for _, m := range messages {
		if got := passes(m.b); got != m.want {
			t.Errorf("%s: %v", m.name, got)
		}
	}
	// Never drops what the parser would take.
	for i := range announce {
		for _, x := range []byte{1, 4, 0x10, 0x80} {
			b := bytes.Clone(announce)
			b[i] ^= x
			if announced(b) && !passes(b) {
				t.Errorf("byte %d xor %#x is dropped", i, x)
			}
		}
	}
}

func (g *guest) announce(t *testing.T) {
	t.Helper()
	if err := unix.Sendto(g.peer, announce, 0, nil); err != nil {
		t.Fatal(err)
	}
}

// A burst is told at its beginning and at its end, with the GUID of that moment.
func TestPeers(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	g.now = time.Now // reads have deadlines
	g.write(t, kernel.GUIDPath, table(7))
	g.start(t)
	began := time.Now()
	for i := range 5 {
		g.announce(t)
		if err := unix.Sendto(g.peer, message(unix.RTM_NEWLINK, name), 0, nil); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if s := g.await(t, feed.ReasonPeers); s.N != guidSize || s.Mix[0] != 7 {
				t.Errorf("mix %x", s.Mix[:s.N])
			}
		}
	}
	g.quiet(t, burstEnds/2)
	g.await(t, feed.ReasonPeers)
	if d := time.Since(began); d < burstEnds-100*time.Millisecond || d > burstEnds+time.Second {
		t.Errorf("the end of the burst came after %v", d)
	}
	g.quiet(t, burstEnds/4)
}

// What does not come from the kernel is nobody's word.
func TestStrangers(t *testing.T) {
	for from, want := range map[unix.Sockaddr]bool{
		&unix.SockaddrNetlink{}: true, &unix.SockaddrNetlink{Pid: 1}: false, &unix.SockaddrUnix{}: false, nil: false,
	} {
		if fromKernel(from) != want {
			t.Errorf("%#v: %v", from, !want)
		}
	}
	g := newGuest(t)
	g.kernel = fromKernel
	g.start(t)
	g.announce(t)
	g.quiet(t, 50*time.Millisecond)
}

// The real socket: the kernel takes its filter and tells of its links; silence
// keeps a reader asleep until it is closed.
func TestRealLinks(t *testing.T) {
	f, err := openRoute()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	p := &peers{socket: f, raw: raw, kernel: fromKernel, now: time.Now}
	_ = f.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if heard, err := p.receive(); heard || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v, %v", heard, err)
	}
	time.AfterFunc(20*time.Millisecond, func() { _ = f.Close() })
	_ = f.SetReadDeadline(time.Time{})
	if heard, err := p.receive(); heard || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v, %v", heard, err)
	}
}
