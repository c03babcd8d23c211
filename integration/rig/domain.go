//go:build linux

package rig

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"headgate/integration/rig/job"
)

// Domain is a guest of a Libvirtd. Its init is reached over a port to which the
// domain's QEMU connects, each QEMU that it has in its life anew, so that it goes
// on through save, restore and revert.
type Domain struct {
	*Init
	UUID string
	Log  string // the file that has the guest's console

	listener *net.UnixListener
	tasks    sync.WaitGroup
	hello    *answers // of the init, since the last Start

	mu       sync.Mutex
	attached time.Time     // when its QEMU last connected
	more     chan struct{} // closed at the next
}

// Define makes a domain known to libvirt; it does not run yet. End it with Close.
func Define(ctx context.Context, c DomainConfig) (*Domain, error) {
	d := &Domain{
		Init: &Init{Name: c.Name, link: newLastingLink()},
		UUID: c.UUID, Log: c.console(),
		more: make(chan struct{}),
	}
	if c.Image != nil {
		if err := d.listen(c.port()); err != nil {
			return nil, err
		}
	}
	if err := d.define(ctx, c); err != nil {
		d.Close()
		return nil, fmt.Errorf("define %s: %w", c.Name, err)
	}
	return d, nil
}

func (d *Domain) define(ctx context.Context, c DomainConfig) error {
	file := filepath.Join(Private, c.UUID+".xml")
	if err := os.WriteFile(file, []byte(c.XML()), 0o644); err != nil {
		return err
	}
	_, err := Virsh(ctx, "define", file)
	return err
}

func (d *Domain) listen(path string) error {
	var err error
	if d.listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"}); err != nil {
		return err
	}
	// QEMU runs as another user.
	if err := os.Chmod(path, 0o777); err != nil {
		return err
	}
	d.tasks.Go(func() {
		for {
			conn, err := d.listener.Accept()
			if err != nil {
				return
			}
			d.mu.Lock()
			d.attached = time.Now()
			d.link.attach(conn, func() {})
			close(d.more)
			d.more = make(chan struct{})
			d.mu.Unlock()
		}
	})
	return nil
}

// Start starts the domain; with an Image, Booted waits for its init.
func (d *Domain) Start(ctx context.Context, flags ...string) error {
	d.link.forget(0) // the init of an earlier start may not have answered
	d.hello = d.link.register(0)
	return d.virsh(ctx, "start", flags...)
}

// Booted waits until the init has said that it is there.
func (d *Domain) Booted(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bootPatience)
	defer cancel()
	if _, err := d.link.last(ctx, d.hello); err != nil {
		return fmt.Errorf("the init of %s did not answer: %w; the console:\n%s", d.Name, err, Tail(d.Log, 20))
	}
	return nil
}

// Destroy ends the domain's QEMU at once.
func (d *Domain) Destroy(ctx context.Context) error { return d.virsh(ctx, "destroy") }

// Save writes the running domain into a file and ends its QEMU.
func (d *Domain) Save(ctx context.Context, file string) error { return d.virsh(ctx, "save", file) }

// Restore goes on from a file of Save's, in a new QEMU. It returns when the init
// answers.
func (d *Domain) Restore(ctx context.Context, file string) error {
	return d.goOn(ctx, func() error {
		_, err := Virsh(ctx, "restore", file)
		return err
	})
}

// Snapshot keeps the running domain's state in its disk, under a name.
func (d *Domain) Snapshot(ctx context.Context, name string) error {
	return d.virsh(ctx, "snapshot-create-as", name)
}

// Revert goes on from a snapshot. It returns when the init answers.
func (d *Domain) Revert(ctx context.Context, name string) error {
	return d.goOn(ctx, func() error { return d.virsh(ctx, "snapshot-revert", name) })
}

// goOn runs what gives the guest a new QEMU, and waits for the init behind it.
func (d *Domain) goOn(ctx context.Context, change func() error) error {
	before := d.Attached()
	if err := change(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, bootPatience)
	defer cancel()
	for {
		d.mu.Lock()
		now, more := d.attached, d.more
		d.mu.Unlock()
		if now.After(before) {
			break
		}
		select {
		case <-more:
		case <-ctx.Done():
			return fmt.Errorf("the new QEMU of %s did not connect: %w", d.Name, ctx.Err())
		}
	}
	_, err := d.ask(ctx, job.Command{Do: job.Heartbeat})
	return err
}

// Attached is when the domain's QEMU of now connected to the rig's port: what the
// init says is of this QEMU from then on.
func (d *Domain) Attached() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.attached
}

// PID is the domain's QEMU as libvirt knows it; 0 if there is none.
func (d *Domain) PID() int {
	text, err := os.ReadFile(filepath.Join("/run/libvirt/qemu", d.Name+".pid"))
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid
}

// Close ends the domain and makes libvirt forget it.
func (d *Domain) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), virshPatience)
	defer cancel()
	_ = d.Destroy(ctx)
	_ = d.virsh(ctx, "undefine", "--snapshots-metadata", "--managed-save")
	if d.listener != nil {
		d.listener.Close()
	}
	d.tasks.Wait()
	d.link.close()
}

func (d *Domain) virsh(ctx context.Context, do string, args ...string) error {
	_, err := Virsh(ctx, append([]string{do, d.UUID}, args...)...)
	return err
}
