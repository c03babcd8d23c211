//go:build linux

package integration

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"headgate/hostd/control"
	"headgate/integration/rig"
	"headgate/integration/rig/job"
	"headgate/wire/feed"
)

const (
	brokenShare  = 0.01                   // of one processor, guestd's
	brokenBurst  = 500 * time.Millisecond // what a host may have at once is over then
	wellWithin   = 3 * time.Second        // from a well host's first frame
	wellPatience = 25 * time.Second
	zeroEvery    = 100 * time.Millisecond
)

// TestBrokenHost shows that a host which is broken or hostile costs a guest next to
// nothing: guestd stays under its memory limit and under 1% of a processor, credits
// nothing that fails a test, and goes on when the host is well again.
func TestBrokenHost(t *testing.T) { brokenHosts(t, 1) }

func brokenHosts(t *testing.T, cpus int) {
	image := image(t)
	ctx := within(t, 2*time.Minute)
	dir := rig.Dir(t)
	text, socket := guest("broken", "", "port", dir)
	g := rig.BootGuest(t, rig.Config{Name: "broken", Image: image, Dir: dir, Port: socket, CPUs: cpus})
	guestd, err := g.Start(ctx, "guestd")
	if err != nil {
		t.Fatal(err)
	}
	hostd, err := rig.NewDaemon(dir, programs(t).Hostd, sound+text)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hostd.Close)
	well(ctx, t, g, hostd, "the start", true)

	const flood, quiet = 3 * time.Second, 2 * time.Second
	for _, phase := range []struct {
		does  string
		lasts time.Duration
		to    func(context.Context, net.Conn) // nil: nobody is there
		heals bool
		check func(t *testing.T, before, after record, said []feed.Report)
	}{
		{does: "sends garbage", lasts: flood, to: garbage},
		{does: "sends headers that claim a payload", lasts: flood, to: endless(claims())},
		{does: "begins the longest frame, and again", lasts: flood, to: endless(longest()[:headerBytes])},
		{does: "pushes and grants without end", lasts: flood, to: valid, heals: true},
		{does: "sends zeros as entropy", lasts: flood, to: zeros, check: zerosFailed},
		{does: "sends half a frame and no more", lasts: quiet, to: silent},
		{does: "sends half a frame and hangs up", lasts: quiet, to: restless},
		{does: "hangs up at once", lasts: quiet, to: func(context.Context, net.Conn) {}},
		{does: "is not there", lasts: quiet, heals: true},
	} {
		host := playing(ctx, t, socket, phase.to)
		before := recordOf(ctx, t, g)
		pause(ctx, t, brokenBurst)
		cost(ctx, t, guestd, "a host that "+phase.does, phase.lasts, cpus)
		after := recordOf(ctx, t, g)
		said := host.end()
		if phase.check != nil {
			phase.check(t, before, after, said)
		}
		if phase.heals {
			well(ctx, t, g, hostd, "a host that "+phase.does, phase.lasts == flood)
		}
	}
}

// cost measures what guestd takes for a while, by the guest's own clocks.
func cost(ctx context.Context, t *testing.T, guestd *rig.Program, what string, lasts time.Duration, cpus int) {
	t.Helper()
	look := func() job.Memory {
		m, err := guestd.Memory(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	before := look()
	pause(ctx, t, lasts)
	after := look()
	gone := (after.Uptime - before.Uptime).Seconds()
	share := (after.Spent - before.Spent).Seconds() / gone
	idle := (after.Idle - before.Idle).Seconds() / gone / float64(cpus)
	t.Logf("%s: guestd %.2f%% of a processor, VmHWM %d KiB; the guest idle %.0f%%", what, 100*share, after.PeakKiB, 100*idle)
	if share > brokenShare {
		t.Errorf("%s: guestd took %.2f%% of a processor, want at most %.0f%%", what, 100*share, 100*brokenShare)
	}
	if after.PeakKiB > peakKiB {
		t.Errorf("%s: guestd peaked at %d KiB, want at most %d", what, after.PeakKiB, peakKiB)
	}
}

// well starts a host that is well, and waits until guestd has reseeded with what it
// sends, or has credited that, too: what is left of a host before claims less.
func well(ctx context.Context, t *testing.T, g *rig.Guest, hostd *rig.Daemon, after string, credited bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, wellPatience)
	defer cancel()
	before := recordOf(ctx, t, g)
	if err := hostd.Start(ctx); err != nil {
		t.Fatal(err)
	}
	defer hostd.Close()
	hostd.AwaitGuest(ctx, t, "broken", "QEMU's connection", func(s control.GuestStatus) bool { return s.Pipes[0].Connected })
	began := time.Now()
	for now := before; now.Reseeds == before.Reseeds || credited && now.Bits < before.Bits+creditedBits; {
		pause(ctx, t, 50*time.Millisecond)
		now = recordOf(ctx, t, g)
	}
	took := time.Since(began)
	t.Logf("after %s: reseeded %s after a host had come that is well", after, took.Round(10*time.Millisecond))
	if took > wellWithin {
		t.Errorf("after %s guestd took %s to reseed when the host was well again, want at most %s", after, took, wellWithin)
	}
}

// zerosFailed looks at what became of zeros: mixed, not credited, and the host was told.
func zerosFailed(t *testing.T, before, after record, said []feed.Report) {
	t.Helper()
	told := 0
	for _, r := range said {
		if r.Reason == feed.ReasonHealth {
			told++
		}
	}
	t.Logf("of zeros %d bytes were mixed and %d bits credited; %d batches failed, and %d reports said so",
		after.Bytes-before.Bytes, after.Bits-before.Bits, after.Failures-before.Failures, told)
	if after.Bits > before.Bits || after.Bytes == before.Bytes || told == 0 {
		t.Errorf("zeros: %+v became %+v, want more bytes, no more bits; %d reports of the failure", before, after, told)
	}
}

// record is what guestd says of itself.
type record struct {
	Bytes    int `json:"bytes"`
	Bits     int `json:"credited_bits"`
	Reseeds  int `json:"reseeds"`
	Failures int `json:"health_failures"`
}

func recordOf(ctx context.Context, t *testing.T, g *rig.Guest) (r record) {
	t.Helper()
	exit, err := g.Run(ctx, 10*time.Second, "guestd", "status", "--json")
	if strings.Contains(exit.Stderr, "no status: ") {
		return r // it has just begun
	}
	if err == nil && exit.Code == 0 {
		err = json.Unmarshal([]byte(exit.Stdout), &r)
	}
	if err != nil || exit.Code != 0 {
		t.Fatalf("guestd status: %+v, %v", exit, err)
	}
	return r
}

// brokenHost listens where hostd would.
type brokenHost struct {
	stop context.CancelFunc
	busy sync.WaitGroup

	mu   sync.Mutex
	said []feed.Report // what guestd told it
}

// playing plays to the guest until its end, and returns when QEMU has connected.
func playing(ctx context.Context, t *testing.T, socket string, plays func(context.Context, net.Conn)) *brokenHost {
	t.Helper()
	h := new(brokenHost)
	ctx, h.stop = context.WithCancel(ctx)
	t.Cleanup(func() { h.end() })
	if plays == nil {
		return h
	}
	_ = os.Remove(socket)
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	context.AfterFunc(ctx, func() { _ = l.Close() })
	came := make(chan struct{})
	arrived := sync.OnceFunc(func() { close(came) })
	h.busy.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			arrived()
			h.busy.Go(func() {
				defer context.AfterFunc(ctx, func() { _ = c.Close() })()
				h.busy.Go(func() { h.listen(c) })
				plays(ctx, c)
				_ = c.Close()
			})
		}
	})
	select {
	case <-came:
	case <-ctx.Done():
		t.Fatal("QEMU did not connect to the port's socket")
	}
	return h
}

// listen takes what guestd says.
func (h *brokenHost) listen(c net.Conn) {
	dec := feed.Decoder{Accept: feed.ToHost}
	var buf [4 << 10]byte
	for kept := 0; ; {
		n, err := c.Read(buf[kept:])
		end, at := kept+n, 0
		for {
			f, done, short := dec.Next(buf[at:end])
			at += done
			if short != nil {
				break
			}
			if f.Type == feed.TypeReport {
				h.mu.Lock()
				h.said = append(h.said, f.Report)
				h.mu.Unlock()
			}
		}
		kept = copy(buf[:], buf[at:end])
		if err != nil {
			return
		}
	}
}

// end ends the host, and returns what guestd told it.
func (h *brokenHost) end() []feed.Report {
	h.stop()
	h.busy.Wait()
	return h.said
}

// The hosts. Each returns when its connection is to be closed.

func endless(data []byte) func(context.Context, net.Conn) {
	return func(_ context.Context, c net.Conn) {
		for {
			if _, err := c.Write(data); err != nil {
				return
			}
		}
	}
}

func garbage(_ context.Context, c net.Conn) {
	_, _ = io.Copy(c, rand.Reader)
}

// valid pushes and grants by turns, each push under a new epoch.
func valid(_ context.Context, c net.Conn) {
	f := feed.Frame{Bits: 1, Data: make([]byte, feed.MaxData)}
	for n := uint64(0); ; n++ {
		f.Type = feed.TypeGrant
		if n%2 == 0 {
			f.Type = feed.TypePush
			binary.BigEndian.PutUint64(f.Epoch[:], n)
		}
		_, _ = rand.Read(f.Data)
		b, err := feed.Append(nil, &f)
		if err == nil {
			_, err = c.Write(b)
		}
		if err != nil {
			return
		}
	}
}

// zeros pushes what no physical source gives, and claims all of it as entropy.
func zeros(ctx context.Context, c net.Conn) {
	for n := byte(1); sleep(ctx, zeroEvery) == nil; n++ {
		f := feed.Frame{Type: feed.TypePush, Epoch: feed.Epoch{n}, Bits: 8 * 64, Data: make([]byte, 64)}
		b, err := feed.Append(nil, &f)
		if err == nil {
			_, err = c.Write(b)
		}
		if err != nil {
			return
		}
	}
}

func silent(ctx context.Context, c net.Conn) {
	restless(ctx, c)
	<-ctx.Done()
}

func restless(_ context.Context, c net.Conn) {
	frame := longest()
	_, _ = c.Write(frame[:len(frame)/2])
}

// headerBytes is what a frame begins with: magic, version, type, length and epoch.
const headerBytes = 16

func longest() []byte { return grant(feed.MaxData) }

func grant(n int) []byte {
	b, err := feed.Append(nil, &feed.Frame{Type: feed.TypeGrant, Data: make([]byte, n)})
	if err != nil {
		panic(err)
	}
	return b
}

// claims is nothing but headers without an epoch, that claim the longest payload and
// half of that by turns: what costs a decoder most.
func claims() (data []byte) {
	for range 4 << 10 {
		data = append(append(data, longest()[:8]...), grant(feed.MaxData / 2)[:8]...)
	}
	return data
}
