//go:build linux

package vhost

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"headgate/integration/rig"
)

// The devices of TestWaiting's machine.
const (
	fourKiB = iota
	slow
)

// TestWaiting shows what may happen to a device while a request of its guest waits for a
// rate.
func TestWaiting(t *testing.T) {
	t.Parallel()
	ctx := rig.Within(t, 3*time.Minute)
	m := boot(ctx, t, "waiting", device{class: "metered"}, device{class: "slow"})
	t.Run("rate", func(t *testing.T) { rate(ctx, t, m, "metered", 4<<10) })

	m.choose(ctx, t, slow)
	seen := rig.NewBlocks()
	read := rig.Follow(ctx, t, m.guest.Init, seen)
	for _, during := range []struct {
		name string
		does func(context.Context, *testing.T)
	}{
		{"memory", m.memory},
		{"paused", m.paused},
		{"migration", m.migration},
	} {
		t.Run(during.name, func(t *testing.T) {
			m.waits(ctx, t, "slow")
			before := read.Latest().Total
			during.does(ctx, t)
			// One request that waited, and one that came after.
			read.Await(t, before+2*64, 10*time.Second)
			m.unharmed(ctx, t, "slow")
		})
	}
	t.Run("unbound", func(t *testing.T) { m.unbound(ctx, t) })
	t.Run("reset", func(t *testing.T) { m.reset(ctx, t) })
	t.Run("stopped", func(t *testing.T) { m.stopped(ctx, t) })
	seen.Check(t)
}

// memory: more memory is plugged in, and out again: QEMU sends another memory table each
// time, of which hostd has mapped what is in it, and no more.
func (m *machine) memory(ctx context.Context, t *testing.T) {
	const more = 128 << 20
	before := mapped(t, m.hostd.PID())
	m.ask(ctx, t, "object-add", map[string]any{"qom-type": "memory-backend-memfd", "id": "more", "size": more, "share": true}, nil)
	m.ask(ctx, t, "device_add", map[string]any{"driver": "pc-dimm", "id": "dimm", "memdev": "more"}, nil)
	m.waits(ctx, t, "slow")
	m.maps(ctx, t, before+2*more) // for each of two devices
	// A guest that is still busy with it does not give it up.
	m.sh(ctx, t, "until [ -d /sys/devices/system/memory/memory$((0x140000000 >> 27)) ]; do busybox usleep 10000; done")
	m.ask(ctx, t, "device_del", map[string]any{"id": "dimm"}, nil)
	m.maps(ctx, t, before) // when the guest has given it up
	t.Logf("%d MiB mapped, %d with more memory plugged in, and the same again without", before>>20, (before+2*more)>>20)
	m.ask(ctx, t, "object-del", map[string]any{"id": "more"}, nil)
}

// maps waits until hostd has mapped so many bytes of guests' memory.
func (m *machine) maps(ctx context.Context, t *testing.T, want int) {
	t.Helper()
	over := time.Now().Add(10 * time.Second)
	for {
		n := mapped(t, m.hostd.PID())
		if n == want {
			return
		}
		if time.Now().After(over) {
			t.Fatalf("hostd has mapped %d bytes of guests' memory, want %d", n, want)
		}
		rig.Pause(ctx, t, 20*time.Millisecond)
	}
}

// paused: QEMU stops a device whose machine is paused, and starts it again.
func (m *machine) paused(ctx context.Context, t *testing.T) {
	begun := time.Now()
	m.ask(ctx, t, "stop", nil, nil)
	if took := time.Since(begun); took > atOnce {
		t.Errorf("the machine was paused after %s: a request that waits holds up QEMU", took)
	}
	m.ask(ctx, t, "cont", nil, nil)
}

// atOnce is less than a request waits for: nothing that QEMU wants of hostd may take so
// long.
const atOnce = 700 * time.Millisecond

// migration: QEMU refuses to migrate and to save, and nothing comes of it.
func (m *machine) migration(ctx context.Context, t *testing.T) {
	err := m.guest.Ask(ctx, "migrate", map[string]any{"uri": "exec:cat >/dev/null"}, nil)
	if err == nil || !strings.Contains(err.Error(), "non-migratable device") {
		t.Errorf("QEMU migrates a machine with a vhost-user-rng: %v", err)
	}
	t.Log(err)
	m.ask(ctx, t, "snapshot-save", map[string]any{"job-id": "save", "tag": "save", "vmstate": "none", "devices": []string{}}, nil)
	var jobs []struct{ ID, Status, Error string }
	for len(jobs) == 0 || jobs[0].Status != "concluded" {
		rig.Pause(ctx, t, 20*time.Millisecond)
		m.ask(ctx, t, "query-jobs", nil, &jobs)
	}
	if !strings.Contains(jobs[0].Error, "non-migratable device") {
		t.Errorf("QEMU saves a machine with a vhost-user-rng: %+v", jobs[0])
	}
}

// unbound: the guest's driver lets go of the device and takes it again, and so resets it.
func (m *machine) unbound(ctx context.Context, t *testing.T) {
	m.waits(ctx, t, "slow")
	took := m.sh(ctx, t, fmt.Sprintf(
		"cd /sys/bus/virtio/drivers/virtio_rng; d=$(echo virtio* | cut -d' ' -f%d); echo $d >unbind; echo $d >bind", slow+1))
	t.Logf("reset after %s", took)
	m.goesOn(ctx, t)
	m.unharmed(ctx, t, "slow")
}

// goesOn chooses the slow device again, and reads.
func (m *machine) goesOn(ctx context.Context, t *testing.T) {
	t.Helper()
	m.sh(ctx, t, "grep virtio_rng.1 /sys/class/misc/hw_random/rng_available\n"+choose(slow)+
		"test $(busybox timeout 20 dd if=/dev/hwrng bs=64 count=3 | wc -c) = 192")
}

// reset: the machine's reset button is pressed.
func (m *machine) reset(ctx context.Context, t *testing.T) {
	m.waits(ctx, t, "slow")
	if err := m.guest.Reset(ctx); err != nil {
		t.Fatal(err)
	}
	if err := m.guest.Insmod(ctx, rig.ModuleRNG); err != nil {
		t.Fatal(err)
	}
	m.goesOn(ctx, t)
	m.unharmed(ctx, t, "slow")
}

// stopped: hostd ends within a second, whatever waits.
func (m *machine) stopped(ctx context.Context, t *testing.T) {
	m.waits(ctx, t, "slow")
	took, err := m.hostd.Terminate(5 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("hostd ended %s after SIGTERM", took.Round(time.Millisecond))
	if took > time.Second {
		t.Errorf("hostd ended %s after SIGTERM, want at most 1 s", took)
	}
}

func (m *machine) ask(ctx context.Context, t *testing.T, command string, arguments map[string]any, into any) {
	t.Helper()
	if err := m.guest.Ask(ctx, command, arguments, into); err != nil {
		t.Fatal(err)
	}
}
