//go:build linux

package vhost

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"headgate/integration/rig"
	"headgate/integration/rig/job"
)

// The devices of TestGuest's machine.
const (
	dialled = iota
	listened
	metered
	twenty
)

// TestGuest boots a guest whose only source of randomness are devices of hostd's, and
// shows what the names of the parts say.
func TestGuest(t *testing.T) {
	t.Parallel()
	ctx := rig.Within(t, 3*time.Minute)
	m := boot(ctx, t, "guest", device{class: "open"}, device{class: "open", listens: true}, device{class: "metered"}, device{class: "twenty"})
	t.Run("reads", func(t *testing.T) { m.reads(ctx, t) })
	t.Run("killed", func(t *testing.T) { m.killed(ctx, t) })
	t.Run("rate", func(t *testing.T) {
		m.choose(ctx, t, twenty)
		rate(ctx, t, m, "twenty", 20<<10)
	})
	t.Run("another", func(t *testing.T) { m.another(ctx, t) })
}

// reads: the guest's kernel is seeded, and what hostd counts is what the guest reads,
// whoever of hostd and QEMU listens.
func (m *machine) reads(ctx context.Context, t *testing.T) {
	const size = 1 << 20
	ready, err := m.guest.AwaitLog(ctx, job.CRNGReady, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%q %s after the guest's start", ready.Text, ready.At)
	for n, name := range map[int]string{dialled: "open", listened: listening} {
		m.choose(ctx, t, n)
		before, _ := m.status(ctx, t, name)
		took := m.sh(ctx, t, fmt.Sprintf("busybox dd if=/dev/hwrng of=/dev/null bs=4k count=%d", size>>12))
		after, pipe := m.status(ctx, t, name)
		t.Logf("%s: %d bytes in %s: %.0f kB/s, %.1f bytes a request", name, size, took, size/1000/took.Seconds(),
			float64(after.Bytes-before.Bytes)/float64(after.Requests-before.Requests))
		// The driver has a buffer of 64 bytes filled ahead before and after; the kernel
		// itself reads as much now and then.
		got := after.Bytes - before.Bytes
		if got < size || got > size+4*64 {
			t.Errorf("%s: hostd counts %d bytes, the guest has read %d", name, got, size)
		}
		if pipe.Bytes != after.Bytes {
			t.Errorf("%s: %d bytes by the pipe's count, %d by the guest's", name, pipe.Bytes, after.Bytes)
		}
		m.unharmed(ctx, t, name)
	}
}

// killed: hostd is killed (-9) and started again ten times while the guest reads without
// pause, half of them while its request waits for a rate. Each time the read goes on
// within 2 s, and nothing is given twice.
func (m *machine) killed(ctx context.Context, t *testing.T) {
	const goesOn = 2 * time.Second
	program, err := m.guest.StartOnto(ctx, "busybox", "dd", "if=/dev/hwrng", "bs=512")
	if err != nil {
		t.Fatal(err)
	}
	var longest time.Duration
	for i := range 10 {
		m.choose(ctx, t, []int{dialled, metered}[i%2])
		m.grows(ctx, t, m.size(t)+4<<10, 10*time.Second)
		rig.Pause(ctx, t, time.Duration(100+37*i)*time.Millisecond)
		m.hostd.Kill()
		rig.Pause(ctx, t, 200*time.Millisecond) // what was on its way has come
		before := m.size(t)
		begun := time.Now()
		if err := m.hostd.Start(context.WithoutCancel(ctx)); err != nil {
			t.Fatal(err)
		}
		ready := time.Since(begun)
		m.grows(ctx, t, before+1, 30*time.Second)
		took := time.Since(begun)
		longest = max(longest, took)
		t.Logf("%d: the read went on %s after the start of hostd, which was ready after %s", i, took.Round(time.Millisecond), ready.Round(time.Millisecond))
		if took > goesOn {
			t.Errorf("restart %d: the read went on after %s, want at most %s", i, took, goesOn)
		}
	}
	t.Logf("the longest of ten: %s", longest.Round(time.Millisecond))
	m.choose(ctx, t, dialled)
	if _, err := program.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	stream, err := os.ReadFile(m.config.Output)
	if err != nil {
		t.Fatal(err)
	}
	seen := rig.NewBlocks()
	seen.Stream("guest").Add(stream)
	seen.Check(t)
}

// size is how much the guest's programs have written.
func (m *machine) size(t *testing.T) int64 {
	t.Helper()
	info, err := os.Stat(m.config.Output)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// grows waits until they have written so much.
func (m *machine) grows(ctx context.Context, t *testing.T, to int64, patience time.Duration) {
	t.Helper()
	over := time.Now().Add(patience)
	for m.size(t) < to {
		if time.Now().After(over) {
			t.Fatalf("the guest's read did not go on within %s", patience)
		}
		rig.Pause(ctx, t, 5*time.Millisecond)
	}
}

// rate: over 20 s the guest gets what its class says, ± 2%. It is measured again if this
// machine was so busy that the guest could not have taken more.
func rate(ctx context.Context, t *testing.T, m *machine, name string, want float64) {
	const over, tolerance, times = 20 * time.Second, 0.02, 3
	seen := rig.NewBlocks()
	read := rig.Follow(ctx, t, m.guest.Init, seen)
	// Of a burst of one second's worth nothing is left when twice as much was read.
	read.Await(t, int64(2*want), 10*time.Second)
	for i := range times {
		if _, err := m.guest.Heartbeat(ctx); err != nil {
			t.Fatal(err)
		}
		before, _ := m.status(ctx, t, name)
		got := read.Rate(t, read.Latest().Total, over)
		after, _ := m.status(ctx, t, name)
		beat, err := m.guest.Heartbeat(ctx)
		if err != nil {
			t.Fatal(err)
		}
		held := (after.ThrottledRate - before.ThrottledRate) / over.Seconds()
		t.Logf("%.1f bytes/s over %s, asked for %.0f: %+.2f%%; a request waited for the rate %.0f%% of the time, the guest stood still for at most %s",
			got, over, want, 100*(got/want-1), 100*held, beat.Longest.Round(time.Millisecond))
		if held < 0.3 || beat.Longest > time.Second/2 && i+1 < times {
			continue
		}
		if got < want*(1-tolerance) || got > want*(1+tolerance) {
			t.Errorf("%.1f bytes/s, want %.0f ± %.0f%%", got, want, tolerance*100)
		}
		seen.Check(t)
		return
	}
	t.Errorf("this machine is too busy: the guest could not have taken %.0f bytes/s", want)
}

// another: QEMU ends, and another makes its socket where that of the first was.
func (m *machine) another(ctx context.Context, t *testing.T) {
	m.guest.Close()
	m.config.Extra = nil // hostd listens where the second device would connect to, and waits for nobody
	m.start(ctx, t)
	m.sh(ctx, t, "busybox dd if=/dev/hwrng of=/dev/null bs=64 count=100")
	t.Logf("a machine that hostd waited for was up after %s", m.guest.Booted.Round(time.Millisecond))
}
