//go:build linux

package libvirt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"headgate/hostd/control"
	"headgate/integration/rig"
)

// machine defines a domain that boots the rig's guest, with a disk for snapshots.
func (h *host) machine(t *testing.T, name, uuid, metadata, devices string) *rig.Domain {
	t.Helper()
	disk := filepath.Join(rig.Private, uuid+".qcow2")
	if err := rig.NewDisk(disk); err != nil {
		t.Fatal(err)
	}
	return rig.DefineDomain(t, rig.DomainConfig{
		Name: name, UUID: uuid, Image: h.image, Disk: disk, Metadata: metadata, Devices: devices,
	})
}

// shell defines a domain whose QEMU runs and whose guest never does: what is
// wanted is what libvirt and hostd make of it.
func shell(t *testing.T, name, uuid, metadata, devices string) *rig.Domain {
	t.Helper()
	return rig.DefineDomain(t, rig.DomainConfig{Name: name, UUID: uuid, Metadata: metadata, Devices: devices})
}

// egd is the device that connects to a socket of hostd's.
func egd(path string) string {
	return fmt.Sprintf(`<rng model='virtio'><backend model='egd' type='unix'>
      <source mode='connect' path='%s'><reconnect enabled='yes' timeout='1'/></source>
    </backend></rng>`, path)
}

// policy is what a domain asks for in its metadata.
func policy(attributes string) string {
	return `<headgate:policy xmlns:headgate="urn:headgate:policy:1" ` + attributes + `/>`
}

// boot starts a domain and waits until it reads from virtio-rng.
func boot(ctx context.Context, t *testing.T, d *rig.Domain) {
	t.Helper()
	start(ctx, t, d)
	booted(ctx, t, d)
}

func start(ctx context.Context, t *testing.T, d *rig.Domain, flags ...string) {
	t.Helper()
	if err := d.Start(ctx, flags...); err != nil {
		t.Fatal(err)
	}
}

func booted(ctx context.Context, t *testing.T, d *rig.Domain) {
	t.Helper()
	if err := d.Booted(ctx); err != nil {
		t.Fatal(err)
	}
	if err := d.Insmod(ctx, rig.ModuleRNG); err != nil {
		t.Fatal(err)
	}
}

// destroy ends a domain and waits until nothing of it is left in hostd.
func (h *host) destroy(ctx context.Context, t *testing.T, d *rig.Domain, guest string) {
	t.Helper()
	if err := d.Destroy(ctx); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	h.gone(ctx, t, guest)
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("hostd kept %s for %s after its end", guest, took)
	}
}

// gone waits until hostd knows of no such guest, and looks for its socket.
func (h *host) gone(ctx context.Context, t *testing.T, guest string) {
	t.Helper()
	h.hostd.Await(ctx, t, "guest "+guest+" is gone", func(s control.Status) bool {
		_, there := rig.GuestOf(s, guest)
		return !there
	})
	if _, err := os.Lstat(guestSocket(guest)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket of %s is left over: %v", guest, err)
	}
}

// firstBytes reads /dev/hwrng until anything comes, asking again where there is
// no device yet.
func (h *host) firstBytes(ctx context.Context, t *testing.T, d *rig.Domain) rig.Progress {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		p, err := readOnce(ctx, d)
		if err == nil {
			h.seen.Stream(d.Name).Add(p.Data)
			return p
		}
		if ctx.Err() != nil {
			t.Fatalf("/dev/hwrng of %s: %v", d.Name, err)
		}
		rig.Pause(ctx, t, 20*time.Millisecond)
	}
}

func readOnce(ctx context.Context, d *rig.Domain) (rig.Progress, error) {
	// A pause, so that one read is all that happens until it is stopped.
	r, err := d.Read(ctx, rig.Reading{Path: "/dev/hwrng", Keep: true, Pause: 200 * time.Millisecond})
	if err != nil {
		return rig.Progress{}, err
	}
	p, err := r.Next(ctx)
	if err == nil {
		err = r.Stop(ctx)
	}
	return p, err
}

// fed waits until hostd has given a guest its first bytes.
func (h *host) fed(ctx context.Context, t *testing.T, guest string) control.GuestStatus {
	t.Helper()
	return h.hostd.AwaitGuest(ctx, t, guest, "guest "+guest+" is fed", func(s control.GuestStatus) bool { return s.Seeded && s.Bytes > 0 })
}
