//go:build linux

package vhost

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"headgate/hostd/control"
	"headgate/integration/rig"
)

// device is a vhost-user-rng of a machine, and one guest to hostd.
type device struct {
	class   string // the guest's name, too, but for the one that is listening
	listens bool   // hostd does, and QEMU connects; the other way round if not
}

func (d device) guest() string {
	if d.listens {
		return listening
	}
	return d.class
}

// listening is the guest whose QEMU finds hostd listening.
const listening = "listening"

// machine is a guest with devices and the hostd behind them. Of the guest's
// /sys/class/misc/hw_random/rng_available the device number n is virtio_rng.n.
type machine struct {
	hostd  *rig.Daemon
	config rig.Config // its Output gets what StartOnto's programs write
	guest  *rig.Guest
}

// boot starts a hostd and a machine with these devices, the first of which QEMU listens
// for. It alone has MSI-X; QEMU gives the others an interrupt line.
func boot(ctx context.Context, t *testing.T, name string, devices ...device) *machine {
	t.Helper()
	image, dir := image(t), rig.Dir(t)
	c := rig.Config{
		Name: name, Image: image, Dir: dir, Output: filepath.Join(dir, "output"), Shared: true,
		// In two pieces, as there is a hole below 4 GiB on x86; of what the guest does not
		// touch there is nothing. With a socket for more.
		MemoryMiB: 4096, Extra: []string{"-m", "slots=1,maxmem=8G"},
	}
	text := rig.Sound + classes
	for i, d := range devices {
		path := filepath.Join(dir, fmt.Sprint("rng", i))
		text += guest(d.guest(), d.class, path, d.listens)
		if i == 0 {
			c.VhostUser = path
			continue
		}
		role := "server=on"
		if d.listens {
			role = "server=off"
		}
		c.Extra = append(c.Extra, "-chardev", fmt.Sprintf("socket,id=rng%d,path=%s,%s", i, path, role),
			"-device", fmt.Sprintf("vhost-user-rng-pci,chardev=rng%d", i))
	}
	m := &machine{hostd: rig.Hostd(t, hostd(t), dir, text), config: c}
	m.start(ctx, t)
	return m
}

// start boots the guest.
func (m *machine) start(ctx context.Context, t *testing.T) {
	t.Helper()
	m.guest = rig.BootGuest(t, m.config)
	if err := m.guest.Insmod(ctx, rig.ModuleRNG); err != nil {
		t.Fatal(err)
	}
}

// sh runs a script in the guest.
func (m *machine) sh(ctx context.Context, t *testing.T, script string) (took time.Duration) {
	t.Helper()
	exit, err := m.guest.Run(ctx, 30*time.Second, "busybox", "sh", "-ec", script)
	if err != nil || exit.Code != 0 {
		t.Fatalf("%s: %v: %+v", script, err, exit)
	}
	return exit.Took
}

// choose makes /dev/hwrng that of the device number n.
func (m *machine) choose(ctx context.Context, t *testing.T, n int) {
	t.Helper()
	m.sh(ctx, t, choose(n))
}

func choose(n int) string {
	return fmt.Sprintf("echo virtio_rng.%d >/sys/class/misc/hw_random/rng_current\n", n)
}

// status is the guest's of that name, and its one pipe's.
func (m *machine) status(ctx context.Context, t *testing.T, name string) (control.GuestStatus, control.PipeStatus) {
	t.Helper()
	s, err := m.hostd.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	g, ok := rig.GuestOf(s, name)
	if !ok {
		t.Fatalf("no guest %s: %+v", name, s)
	}
	return g, g.Pipes[0]
}

// waits waits until a request of that guest waits.
func (m *machine) waits(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	m.hostd.AwaitGuest(ctx, t, name, "a request waits", func(g control.GuestStatus) bool { return g.Waiting })
}

// unharmed fails the test if hostd has anything against that guest's device.
func (m *machine) unharmed(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	if _, p := m.status(ctx, t, name); !p.Connected || p.Errors > 0 || p.Connections != 1 {
		t.Errorf("hostd and the device of %s did not stay together: %+v", name, p)
	}
}
