//go:build linux

package xen

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"headgate/integration/rig"
)

const (
	seededWithin  = 2 * time.Second        // from guestd's start to the kernel's word; the emulated machine is shared
	againWithin   = 2 * time.Second        // from the bell, or the host's end, to a report
	resumedWithin = 500 * time.Millisecond // from xl unpause to the report, on a machine with nothing else to do
)

// guestdInDomU shows that guestd seeds a guest of Xen's that has no virtio device over
// a channel, and feeds it over a ring in short sessions, and does so again when the
// host comes back, rings, and when the guest was saved and restored; and that the
// guest's kernel bears it. (That it seeds over a ring, and what hostd makes of a
// restore, hostdInDom0 shows.)
func guestdInDomU(t *testing.T, shared *sharing) {
	ctx, cancel := context.WithTimeout(t.Context(), partTime)
	defer cancel()
	for _, name := range []string{"web1", "db1"} {
		t.Run(name, func(t *testing.T) {
			d := shared.get(t, name)[0]
			t.Cleanup(func() { explain(t, d) })
			t.Run("channel", func(t *testing.T) { overChannel(ctx, t, d, shared.channelOf(d.Name)) })
			t.Run("ring", func(t *testing.T) { overRing(ctx, t, d) })
		})
	}
	shared.end("web1")
}

func overChannel(ctx context.Context, t *testing.T, d *rig.DomU, socket string) {
	dom0 := newDom0(t)
	dom0.channel(t, socket)
	seed(ctx, t, d, "--pipe", "channel")
	dom0.forget()
	guestd := start(ctx, t, d, "channel")
	dom0.await(ctx, t, "start")
	began := time.Now()
	dom0.hangUp()
	dom0.await(ctx, t, "push")
	within(t, "the host hung up; reported after", time.Since(began), againWithin)
	if kinds[d.Name] == "pv" { // a PVH domain takes three times as long to save
		restored(ctx, t, d, dom0, func() { dom0.channel(t, socket) })
	}
	stop(ctx, t, guestd)
	sound(ctx, t, d)
}

func overRing(ctx context.Context, t *testing.T, d *rig.DomU) {
	dom0 := newDom0(t)
	dom0.rings(t, d.Name, 0)
	guestd := start(ctx, t, d, "vchan")
	dom0.await(ctx, t, "start")
	for range 2 {
		began := time.Now()
		dom0.ring(t, d.ID())
		dom0.await(ctx, t, "push")
		within(t, "the bell was rung; reported after", time.Since(began), againWithin)
	}
	idle(ctx, t, d)
	stop(ctx, t, guestd)
	sound(ctx, t, d)
}

func start(ctx context.Context, t *testing.T, d *rig.DomU, pipe string) *rig.Program {
	t.Helper()
	guestd, err := d.Start(ctx, "/bin/guestd", "--pipe", pipe)
	if err != nil {
		t.Fatal(err)
	}
	return guestd
}

func stop(ctx context.Context, t *testing.T, guestd *rig.Program) {
	t.Helper()
	if exit, err := guestd.Stop(ctx); err != nil || !exit.Stopped() {
		t.Errorf("stop guestd: %+v, %v", exit, err)
	}
}

// idle waits until the guest's guestd has no event channel.
func idle(ctx context.Context, t *testing.T, d *rig.DomU) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		exit, err := d.Run(ctx, 10*time.Second, "sh", "-c", "ls -l /proc/[0-9]*/fd | grep -c /dev/xen/evtchn")
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(exit.Stdout) == "0" {
			return
		}
	}
}

// seed runs guestd seed, and says when the kernel's generator was ready.
func seed(ctx context.Context, t *testing.T, d *rig.DomU, flags ...string) {
	t.Helper()
	begun, ready := rig.Seed(ctx, t, d.Init, append(flags, "--timeout", "10s")...)
	t.Logf("crng init done %s after power-on, %s after the start of guestd", ready, ready-begun)
	if ready < begun || ready-begun > seededWithin {
		t.Errorf("crng init done %s after the start of guestd, want at most %s", ready-begun, seededWithin)
	}
}

// restored saves the guest and brings it back, and waits for its report. An emulated
// machine takes its time over a resume, how long is seen in the same run: by when the
// guest's init answers one question over its console. guestd may take twice that.
func restored(ctx context.Context, t *testing.T, d *rig.DomU, dom0 *dom0, follow func()) {
	t.Helper()
	file := t.TempDir() + "/saved"
	if err := d.Save(ctx, file); err != nil {
		t.Fatal(err)
	}
	dom0.stop()
	dom0.forget()
	credited := dom0.credited
	follow() // as hostd does, which sees the domain before it runs
	if err := d.Restore(ctx, file); err != nil {
		t.Fatal(err)
	}
	r := dom0.await(ctx, t, "push")
	t.Logf("restored as domain %d: %d bits credited, reported %s after xl unpause began, its init answered after %s",
		d.ID(), dom0.credited-credited, r.at.Sub(d.Unpausing), d.Answered.Sub(d.Unpausing))
	if dom0.credited <= credited {
		t.Error("nothing was credited")
	}
	t.Logf("reseeded %s after the guest's programs went on, by its own clock", time.Unix(0, r.Seeded).Sub(wentOn(ctx, t, d)))
	within(t, "reported, since xl unpause:", r.at.Sub(d.Unpausing), max(resumedWithin, 2*d.Answered.Sub(d.Unpausing)))
	if err := os.Remove(file); err != nil {
		t.Error(err)
	}
	sound(ctx, t, d)
}

// sound makes sure that the guest's kernel has nothing to complain of. Where it has a
// second console Linux 6.1 warns at each resume, with guestd or without: the console's
// driver gives back an event channel that the resume has made void.
func sound(ctx context.Context, t *testing.T, d *rig.DomU) {
	t.Helper()
	records, err := d.KernelLog(ctx, "BUG", "WARNING", "Oops", ownWarning)
	if err != nil {
		t.Fatal(err)
	}
	warnings := 0
	for _, r := range records {
		switch {
		case strings.Contains(r.Text, ownWarning):
			warnings--
		case strings.Contains(r.Text, "WARNING"):
			warnings++
		default:
			t.Errorf("the guest's kernel: %s", r.Text)
		}
	}
	if warnings > 0 {
		t.Errorf("the guest's kernel warns %d times: %v", warnings, records)
	}
}

const ownWarning = "xencons_disconnect_backend"

// wentOn is when the guest's programs went on after its last resume, by its own clock.
func wentOn(ctx context.Context, t *testing.T, d *rig.DomU) time.Time {
	t.Helper()
	const mark = "headgate-test: now "
	// What /proc/timer_list begins with, and the offset of its second clock, REALTIME.
	script := `awk '/^now at/ {now = $3} /[.]offset:/ && ++n == 2 {print "` + mark + `" now, $2; exit}' /proc/timer_list >/dev/kmsg`
	if exit, err := d.Run(ctx, 10*time.Second, "sh", "-c", script); err != nil || exit.Code != 0 {
		t.Fatalf("%+v, %v", exit, err)
	}
	records, err := d.KernelLog(ctx, "Restarting tasks", mark)
	if err != nil || len(records) < 2 {
		t.Fatal(records, err)
	}
	at, now := records[len(records)-2], records[len(records)-1]
	var monotonic, offset int64
	if _, err := fmt.Sscanf(now.Text, mark+"%d %d", &monotonic, &offset); err != nil || !strings.Contains(at.Text, "Restarting") {
		t.Fatal(records, err)
	}
	return time.Unix(0, monotonic+offset).Add(at.At - now.At)
}

// explain quotes what a failed test's guest has to say. Cleanups run last in, first
// out: the guest is there.
func explain(t *testing.T, d *rig.DomU) {
	if !t.Failed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
	defer cancel()
	exit, err := d.Run(ctx, 10*time.Second, "sh", "-c", "guestd status; dmesg | tail -n 150; cat /proc/interrupts; xenstore-ls data")
	t.Logf("the guest: %v\n%s%s", err, exit.Stdout, exit.Stderr)
}

func within(t *testing.T, what string, took, limit time.Duration) {
	t.Helper()
	t.Logf("%s %s", what, took)
	if took > limit {
		t.Errorf("%s %s, want at most %s", what, took, limit)
	}
}
