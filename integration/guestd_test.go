//go:build linux

package integration

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"headgate/hostd/control"
	"headgate/integration/rig"
	"headgate/integration/rig/job"
)

const (
	seededWithin = 500 * time.Millisecond // from guestd's start to the kernel's word
	peakKiB      = 4 << 10                // VmHWM of guestd
	binarySize   = 5 << 19                // bytes: 2.5 MiB
	creditedBits = 256                    // what makes the kernel's generator ready
)

// TestGuestdPort shows that guestd seeds the generator of a guest that has
// nothing but a virtio-serial port, within 0.5 s of its start, and how much
// memory it takes.
func TestGuestdPort(t *testing.T) {
	image := image(t)
	ctx := rig.Within(t, 3*time.Minute)
	dir := rig.Dir(t)
	text, socket := guest("port", "", "port", dir)
	hostd := rig.Hostd(t, programs(t).Hostd, dir, rig.Sound+text)
	g := rig.BootGuest(t, rig.Config{Name: "port", Image: image, Dir: dir, Port: socket})
	unseeded(ctx, t, g)
	mixedOnly(ctx, t, g)
	seed(ctx, t, g)
	residentMemory(ctx, t, g)

	report := hostd.AwaitGuest(ctx, t, "port", "a report of guestd", func(s control.GuestStatus) bool { return s.LastReport != nil }).LastReport
	if report.CreditedBits < creditedBits {
		t.Errorf("guestd reported %d bits credited, at least %d wanted", report.CreditedBits, creditedBits)
	}
	if exit, err := g.Run(ctx, 5*time.Second, "guestd", "status"); err != nil || exit.Code != 0 {
		t.Errorf("guestd status: %+v, %v", exit, err)
	} else {
		t.Logf("guestd status:\n%s", exit.Stdout)
	}
}

// TestGuestdHWRNG shows the same through virtio-rng, whose module comes right
// before guestd. The kernel's own thread reads that device, too: whoever is
// first, the guest is ready in time.
func TestGuestdHWRNG(t *testing.T) {
	image := image(t)
	ctx := rig.Within(t, 3*time.Minute)
	dir := rig.Dir(t)
	text, socket := guest("hwrng", "", "qemu", dir)
	rig.Hostd(t, programs(t).Hostd, dir, rig.Sound+text)
	g := rig.BootGuest(t, rig.Config{Name: "hwrng", Image: image, Dir: dir, RNG: socket})
	unseeded(ctx, t, g)
	if err := g.Insmod(ctx, rig.ModuleRNG); err != nil {
		t.Fatal(err)
	}
	seed(ctx, t, g)
	residentMemory(ctx, t, g)
}

// TestGuestdSize holds the shipped program's size.
func TestGuestdSize(t *testing.T) {
	info, err := os.Stat(programs(t).Guestd)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("guestd: %d bytes", info.Size())
	if info.Size() > binarySize {
		t.Errorf("guestd has %d bytes, at most %d wanted", info.Size(), binarySize)
	}
}

// unseeded makes sure that nobody has seeded the guest's generator yet.
func unseeded(ctx context.Context, t *testing.T, g *rig.Guest) {
	t.Helper()
	records, err := g.KernelLog(ctx, job.CRNGReady)
	if err != nil {
		t.Fatal(err)
	}
	if len(records) > 0 {
		t.Fatalf("the guest's generator was ready at %s, before guestd ran", records[0].At)
	}
}

// mixedOnly shows that guestd seed is not content with bytes that did not make the
// kernel's generator ready: who makes a key after it relies on that.
func mixedOnly(ctx context.Context, t *testing.T, g *rig.Guest) {
	t.Helper()
	exit, err := g.Run(ctx, 10*time.Second, "guestd", "seed", "--credit", "none", "--timeout", "500ms")
	if err != nil {
		t.Fatal(err)
	}
	if exit.Code != 1 || !strings.Contains(exit.Stderr, "mixed, but not enough was credited") {
		t.Errorf("guestd seed --credit none: exit %d\n%s%s", exit.Code, exit.Stdout, exit.Stderr)
	}
	unseeded(ctx, t, g)
}

// seed runs guestd seed and measures by the kernel's clock when the generator
// was ready.
func seed(ctx context.Context, t *testing.T, g *rig.Guest) {
	t.Helper()
	begun, ready := rig.Seed(ctx, t, g.Init, "--timeout", "5s")
	t.Logf("crng init done %s after the start of guestd", ready-begun)
	if ready-begun > seededWithin {
		t.Errorf("crng init done %s after the start of guestd, want at most %s", ready-begun, seededWithin)
	}
}

// residentMemory starts guestd as a daemon, lets it feed once, and looks at its
// peak.
func residentMemory(ctx context.Context, t *testing.T, g *rig.Guest) {
	t.Helper()
	program, err := g.Start(ctx, "guestd")
	if err != nil {
		t.Fatal(err)
	}
	rig.Pause(ctx, t, 2*time.Second)
	memory, err := program.Memory(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("guestd: VmHWM %d KiB, VmRSS %d KiB", memory.PeakKiB, memory.NowKiB)
	if memory.PeakKiB > peakKiB {
		t.Errorf("guestd peaked at %d KiB, at most %d wanted", memory.PeakKiB, peakKiB)
	}
	if exit, err := program.Stop(ctx); err != nil || !exit.Stopped() {
		t.Errorf("stop guestd: %+v, %v", exit, err)
	}
}
