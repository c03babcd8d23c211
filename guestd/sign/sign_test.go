//go:build linux

package sign

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"headgate/guestd/kernel"
	"headgate/wire/feed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// guest is a root directory, a clock and links that a test moves.
type guest struct {
	*Watcher
	root  string
	ticks chan time.Time
	since atomic.Int64 // nanoseconds
	peer  int          // socket, from which its links are told
	kmsg  *os.File
	out   chan Sign
	stop  chan struct{}
}

func newGuest(t *testing.T) *guest {
	t.Helper()
	g := &guest{root: t.TempDir(), ticks: make(chan time.Time), out: make(chan Sign), stop: make(chan struct{})}
	began := time.Now()
	here, there := socketPair(t)
	g.peer = there
	g.Watcher = &Watcher{
		Root: g.root, Poll: time.Second,
		now:    func() time.Time { return began.Add(time.Duration(g.since.Load())) },
		ticks:  g.ticks,
		links:  func() (*os.File, error) { return os.NewFile(uintptr(here), "links"), nil },
		kernel: func(unix.Sockaddr) bool { return true },
	}
	if err := os.MkdirAll(filepath.Join(g.root, "dev"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(g.root, "dev/kmsg"), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.OpenFile(filepath.Join(g.root, "dev/kmsg"), os.O_RDWR, 0) // O_RDWR: its reader sees no end
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	g.kmsg = log
	return g
}

// record writes a record into the log.
func (g *guest) record(t *testing.T, text string) {
	t.Helper()
	if _, err := g.kmsg.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// socketPair is two sockets of which one sends messages to the other.
func socketPair(t *testing.T) (here, there int) {
	t.Helper()
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(p[1]) })
	return p[0], p[1]
}

// start starts it; at the end of the test all that it started has ended, too.
func (g *guest) start(t *testing.T) (troubles []error) {
	t.Helper()
	troubles = g.Start(g.stop, g.out)
	t.Cleanup(func() {
		close(g.stop)
		g.running.Wait()
		if g.log.Load() || g.guid.Load() || g.link.Load() || g.clock.Load() {
			t.Error("something is still watched")
		}
	})
	return troubles
}

func (g *guest) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(g.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// bind makes the link that a driver has to its device.
func (g *guest) bind(t *testing.T, name string) {
	t.Helper()
	path := filepath.Join(g.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../../../devices/x", path); err != nil {
		t.Fatal(err)
	}
}

// tick lets the poll look after d.
func (g *guest) tick(t *testing.T, d time.Duration) {
	t.Helper()
	g.since.Add(int64(d))
	if !g.ticked(10 * time.Second) {
		t.Fatal("nothing is polled")
	}
}

// ticked says whether the poll was ready for its next turn.
func (g *guest) ticked(patience time.Duration) bool {
	select {
	case g.ticks <- time.Time{}:
		return true
	case <-time.After(patience):
		return false
	}
}

func (g *guest) await(t *testing.T, reason string) Sign {
	t.Helper()
	select {
	case s := <-g.out:
		if s.Reason != reason {
			t.Fatalf("sign %q, want %q", s.Reason, reason)
		}
		return s
	case <-time.After(10 * time.Second):
		t.Fatalf("no sign %q", reason)
	}
	return Sign{}
}

func (g *guest) quiet(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case s := <-g.out:
		t.Errorf("sign %q", s.Reason)
	case <-time.After(d):
	}
}

const (
	cmos   = "sys/class/rtc/rtc0/since_epoch"
	vgid   = "sys/bus/acpi/drivers/vmgenid/QEMUVGID:00"
	virtio = "sys/bus/virtio/drivers/virtio_net/virtio1/features"
)

// features of a virtio-net link with bit 21, GUEST_ANNOUNCE, and one without.
var (
	announcing = strings.Repeat("0", 21) + "1" + strings.Repeat("0", 42) + "\n"
	silent     = strings.Repeat("1", 21) + "0" + strings.Repeat("1", 42) + "\n"
)

func TestCovers(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string // without a text: a link to a device
		poll  time.Duration
		want  string
	}{
		"nothing":     {poll: time.Second},
		"a clock":     {poll: time.Second, files: map[string]string{cmos: "1000\n"}, want: "clock, every 1s"},
		"no poll":     {files: map[string]string{cmos: "1000\n", kernel.GUIDPath: table(1)}},
		"a cloud":     {poll: 2 * time.Second, files: map[string]string{kernel.GUIDPath: table(1), virtio: announcing}, want: "vmgenid GUID, every 2s; link announcements"},
		"a driver":    {poll: time.Second, files: map[string]string{kernel.GUIDPath: table(1), vgid: "", virtio: silent}, want: "vmgenid driver (kernel log)"},
		"its absence": {poll: time.Second, files: map[string]string{"sys/bus/acpi/drivers/vmgenid/bind": "x"}},
		"Linux 6.10":  {poll: time.Second, files: map[string]string{"sys/bus/platform/drivers/vmgenid/QEMUVGID:00": ""}, want: "vmgenid driver (kernel log)"},
		"Xen":         {poll: time.Second, files: map[string]string{"sys/bus/xen/drivers/vif/vif-0": ""}, want: "link announcements"},
		"bad files":   {poll: time.Second, files: map[string]string{cmos: "noon\n", kernel.GUIDPath: table(1)[:guidOffset+guidSize-1], virtio: "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuest(t)
			g.Poll = c.poll
			for file, text := range c.files {
				if text == "" {
					g.bind(t, file)
				} else {
					g.write(t, file, text)
				}
			}
			troubles := g.start(t)
			if got := strings.Join(g.Covers(), "; "); got != c.want || len(troubles) != 0 {
				t.Errorf("covers %q, want %q; %v", got, c.want, troubles)
			}
		})
	}
}

// What every guest has and guestd may not open is told, with what to do.
func TestTroubles(t *testing.T) {
	g := newGuest(t)
	if err := os.Remove(filepath.Join(g.root, "dev/kmsg")); err != nil {
		t.Fatal(err)
	}
	g.links = func() (*os.File, error) { return nil, os.NewSyscallError("socket", unix.EAFNOSUPPORT) }
	troubles := g.start(t)
	for i, want := range []struct {
		err error
		do  string
	}{{fs.ErrNotExist, "CAP_SYSLOG"}, {unix.EAFNOSUPPORT, "RestrictAddressFamilies=AF_NETLINK"}} {
		if len(troubles) != 2 || !errors.Is(troubles[i], want.err) || !strings.Contains(troubles[i].Error(), want.do) {
			t.Fatalf("%v", troubles)
		}
	}
}

// udev loads modules after guestd has started: what they bring is found within a
// minute, and a poll with nothing to look at ends then.
func TestLateModules(t *testing.T) {
	g := newGuest(t)
	g.start(t)
	g.write(t, kernel.GUIDPath, table(1))
	g.tick(t, 30*time.Second)
	g.tick(t, time.Second) // the turn before is over
	if !slices.Equal(g.Covers(), []string{"vmgenid GUID, every 1s"}) {
		t.Errorf("covers %q", g.Covers())
	}
	g.bind(t, vgid) // now the kernel looks
	g.tick(t, time.Second)
	g.tick(t, time.Second)
	if !slices.Equal(g.Covers(), []string{"vmgenid driver (kernel log)"}) {
		t.Errorf("covers %q", g.Covers())
	}
	g.since.Add(int64(time.Minute))
	for range 2 { // a turn that is under way may be the last
		if !g.ticked(50 * time.Millisecond) {
			return
		}
	}
	t.Error("the poll goes on with nothing to look at")
}

// A sign that nobody takes waits, and does not outlive stop.
func TestNobodyTakes(t *testing.T) {
	g := newGuest(t)
	g.write(t, kernel.GUIDPath, table(1))
	g.write(t, cmos, "1000\n")
	g.start(t)
	g.write(t, kernel.GUIDPath, table(2))
	g.write(t, cmos, "5000\n")
	g.tick(t, time.Second)
	g.announce(t)
	g.record(t, "5,339,5140900,-;"+forkLine)
	time.Sleep(20 * time.Millisecond)
	if s := <-g.out; s.Reason == feed.ReasonClock {
		t.Error("the clock was looked at while the GUID's sign waited")
	}
}
