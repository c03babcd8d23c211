//go:build linux

package pipe

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"headgate/wire/feed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tree makes a root with the given files.
func tree(t *testing.T, files map[string]string) Place {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return Place{Root: root}
}

func TestFind(t *testing.T) {
	const rng = "sys/class/misc/hw_random/"
	for name, c := range map[string]struct {
		files map[string]string
		port  string // below the root; none if empty
		rng   bool
		claim int
	}{
		"nothing":              {},
		"sysfs names the port": {files: map[string]string{"sys/class/virtio-ports/vport0p1/name": "org.qemu.guest_agent.0\n", "sys/class/virtio-ports/vport1p2/name": PortName + "\n"}, port: "/dev/vport1p2"},
		"another port":         {files: map[string]string{"sys/class/virtio-ports/vport0p1/name": "org.qemu.guest_agent.0\n"}},
		"udev names the port":  {files: map[string]string{"dev/virtio-ports/" + PortName: ""}, port: "/dev/virtio-ports/" + PortName},
		"rng without sysfs":    {files: map[string]string{"dev/hwrng": ""}, rng: true},
		"rng without a driver": {files: map[string]string{"dev/hwrng": "", rng + "rng_current": "none\n", rng + "rng_quality": "0\n"}},
		"rng not loaded":       {files: map[string]string{"dev/hwrng": "", "sys/class/net/x": ""}},
		"virtio-rng, quality":  {files: map[string]string{"dev/hwrng": "", rng + "rng_current": "virtio_rng.0\n", rng + "rng_quality": "512\n"}, rng: true, claim: 512},
		"virtio-rng, older":    {files: map[string]string{"dev/hwrng": "", rng + "rng_current": "virtio_rng.0\n"}, rng: true, claim: 1024},
		"virtio-rng, silent":   {files: map[string]string{"dev/hwrng": "", rng + "rng_current": "virtio_rng.0\n", rng + "rng_quality": "0\n"}, rng: true, claim: 1024},
		"other, silent":        {files: map[string]string{"dev/hwrng": "", rng + "rng_current": "tpm-rng-0\n"}, rng: true},
		"other, overclaiming":  {files: map[string]string{"dev/hwrng": "", rng + "rng_current": "x\n", rng + "rng_quality": "9999\n"}, rng: true, claim: 1024},
	} {
		pl := tree(t, c.files)
		want := ""
		if c.port != "" {
			want = pl.Root + c.port
		}
		if got := pl.findPort(); got != want {
			t.Errorf("%s: port %q, want %q", name, got, want)
		}
		p, err := pl.Open(HWRNGKind)
		if (err == nil) != c.rng || err != nil && !errors.Is(err, ErrNone) {
			t.Errorf("%s: hwrng: %v", name, err)
		}
		if err == nil {
			_ = p.Close()
		}
		if got := pl.claim(); got != c.claim {
			t.Errorf("%s: claim %d, want %d", name, got, c.claim)
		}
	}
}

func TestHWRNG(t *testing.T) {
	pl := tree(t, map[string]string{"dev/hwrng": string(make([]byte, 4096)), "sys/class/misc/hw_random/rng_current": "virtio_rng.0"})
	p, err := pl.Open(HWRNGKind)
	if err != nil {
		t.Fatal(err)
	}
	_ = p.Ask(64)
	_ = p.Ask(1) // forgotten: one is waiting
	b, err := p.Receive()
	if err != nil || len(b.Data) != 64 || b.Fresh != 0 || b.Bits != 512 {
		t.Errorf("got %d bytes, fresh from %d, %d bits, %v", len(b.Data), b.Fresh, b.Bits, err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := p.Receive(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// What the kernel and the device had fetched before this guest's new life is brought as
// stale, and behind it as much that is fresh as was asked for.
func TestHWRNGRenewed(t *testing.T) {
	for name, c := range map[string]struct {
		renew []string // when: "before" the request, "while" it is answered
		stale []int    // of the batches
	}{
		"no sign":             {nil, []int{0, 0}},
		"before":              {[]string{"before"}, []int{prefetched, 0}},
		"while it is read":    {[]string{"while"}, []int{64, prefetched}},
		"before and while":    {[]string{"before", "while"}, []int{prefetched + 64, prefetched}},
		"several at one time": {[]string{"before", "before"}, []int{prefetched, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			p, host := source(t)
			for turn, stale := range c.stale {
				if turn == 0 && slices.Contains(c.renew, "before") {
					p.Renew()
				}
				_ = p.Ask(64)
				got := make(chan feed.Batch, 1)
				go func() {
					b, err := p.Receive()
					if err != nil {
						t.Error(err)
					}
					got <- b
				}()
				give(t, host, 1)
				if turn == 0 && slices.Contains(c.renew, "while") {
					taken(t, host)
					p.Renew()
				}
				n := 64
				if stale >= prefetched {
					n += prefetched
				}
				give(t, host, n-1)
				b := <-got
				fresh := n - stale
				if len(b.Data) != n || b.Fresh != stale || b.Bits != 8*fresh {
					t.Errorf("batch %d: %d bytes, fresh from %d, %d bits", turn, len(b.Data), b.Fresh, b.Bits)
				}
			}
		})
	}
}

// source returns /dev/hwrng and its host's end.
func source(t *testing.T) (Pipe, *os.File) {
	t.Helper()
	pl := tree(t, map[string]string{"sys/class/misc/hw_random/rng_current": "virtio_rng.0", "dev/null": ""})
	path := pl.Root + "/dev/hwrng"
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	host, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := pl.Open(HWRNGKind)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = p.Close(), host.Close() })
	return p, host
}

// taken waits until all was read that was given.
func taken(t *testing.T, host *os.File) {
	t.Helper()
	for end := time.Now().Add(patience); ; runtime.Gosched() {
		n, err := unix.IoctlGetInt(int(host.Fd()), unix.TIOCINQ)
		if err != nil || time.Now().After(end) {
			t.Fatalf("%d bytes are left, %v", n, err)
		}
		if n == 0 {
			return
		}
	}
}

func give(t *testing.T, host *os.File, n int) {
	t.Helper()
	if _, err := host.Write(make([]byte, n)); err != nil {
		t.Fatal(err)
	}
}

// ports returns a port and its host's end.
func ports(t *testing.T) (Pipe, *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPort(os.NewFile(uintptr(fds[0]), "guest"))
	if err != nil {
		t.Fatal(err)
	}
	host := os.NewFile(uintptr(fds[1]), "host")
	t.Cleanup(func() { _, _ = p.Close(), host.Close() })
	return p, host
}

func TestPort(t *testing.T) {
	p, host := ports(t)
	push, _ := feed.Append(nil, &feed.Frame{Type: feed.TypePush, Data: []byte("fresh bytes"), Bits: 88})
	if _, err := host.Write(push); err != nil {
		t.Fatal(err)
	}
	b, err := p.Receive()
	if err != nil || string(b.Data) != "fresh bytes" || b.Bits != 88 || !b.Pushed {
		t.Fatalf("got %+v, %v", b, err)
	}
	p.Wipe()
	if err := p.Ask(64); err != nil {
		t.Fatal(err)
	}
	if err := p.Report(&feed.Report{Reason: "push"}); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 512)
	n, _ := host.Read(buf)
	d := feed.Decoder{Accept: feed.ToHost}
	req, used, err := d.Next(buf[:n])
	if err != nil || req.N != 64 {
		t.Errorf("request: %+v, %v", req, err)
	}
	if rep, _, err := d.Next(buf[used:n]); err != nil || rep.Report.Reason != "push" {
		t.Errorf("report: %+v, %v", rep, err)
	}
}

func TestPortSendNeverBlocks(t *testing.T) {
	p, _ := ports(t)
	for range 100_000 {
		if err := p.Ask(1); err != nil {
			if !errors.Is(err, ErrAway) {
				t.Fatal(err)
			}
			return
		}
	}
	t.Error("the socket never filled")
}

func TestCloseWakesReceive(t *testing.T) {
	p, _ := ports(t)
	done := make(chan error)
	go func() {
		_, err := p.Receive()
		done <- err
	}()
	time.AfterFunc(10*time.Millisecond, func() { _ = p.Close() })
	if err := <-done; !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	if err := p.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed twice: %v", err)
	}
}

// With the host gone the port reads 0 bytes and says hang-up for ever. Waiting at
// it must not spin: the thread's own processor time shows it.
func TestAbsentHostCostsNothing(t *testing.T) {
	p, host := ports(t)
	_ = host.Close()
	done := make(chan error)
	go func() {
		_, err := p.Receive()
		done <- err
	}()
	var before, after unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &before)
	time.Sleep(200 * time.Millisecond)
	_ = unix.Getrusage(unix.RUSAGE_SELF, &after)
	_ = p.Close()
	if err := <-done; !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	spent := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
	if spent > 50*time.Millisecond {
		t.Errorf("%v of processor time in 200 ms", spent)
	}
}
