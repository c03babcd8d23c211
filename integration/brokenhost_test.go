//go:build linux

package integration

import (
	"context"
	"encoding/json"
	"net"
	"strings"
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
	wellWithin   = 15 * time.Second       // what a host before has left in the queues comes first
	wellPatience = 25 * time.Second
	zeroEvery    = 100 * time.Millisecond
)

// TestBrokenHost shows that a host which is broken or hostile costs a guest next to
// nothing: guestd stays under its memory limit and under 1% of a processor, credits
// nothing that fails a test, and goes on when the host is well again.
func TestBrokenHost(t *testing.T) {
	t.Parallel() // it waits for most of its time, and what it measures is by its guest's clock
	image := image(t)
	ctx := rig.Within(t, 2*time.Minute)
	dir := rig.Dir(t)
	text, socket := guest("broken", "", "port", dir)
	g := rig.BootGuest(t, rig.Config{Name: "broken", Image: image, Dir: dir, Port: socket, Counted: true})
	guestd, err := g.Start(ctx, "guestd")
	if err != nil {
		t.Fatal(err)
	}
	hostd, err := rig.NewDaemon(dir, programs(t).Hostd, rig.Sound+text)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hostd.Close)
	well(ctx, t, g, hostd, "the start", true)

	const flood, quiet = 2 * time.Second, time.Second
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
		rig.Pause(ctx, t, brokenBurst)
		cost(ctx, t, guestd, "a host that "+phase.does, phase.lasts)
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

// cost measures what guestd takes for a while, by the guest's own clocks. These count
// instructions: how busy this machine is does not matter.
func cost(ctx context.Context, t *testing.T, guestd *rig.Program, what string, lasts time.Duration) {
	t.Helper()
	look := func() job.Memory {
		m, err := guestd.Memory(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	before := look()
	rig.Pause(ctx, t, lasts)
	after := look()
	gone := (after.Uptime - before.Uptime).Seconds()
	share := (after.Spent - before.Spent).Seconds() / gone
	idle := (after.Idle - before.Idle).Seconds() / gone
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
		rig.Pause(ctx, t, 50*time.Millisecond)
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
