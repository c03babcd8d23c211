//go:build linux

package rig

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"time"

	"headgate/integration/rig/job"
)

const (
	guestLimit   = 2 * time.Minute
	bootPatience = 40 * time.Second // a boot takes 2 s on a quiet machine
	offPatience  = 5 * time.Second
)

// Guest is a running guest of a QEMU that the rig started itself.
type Guest struct {
	*Init
	Log    string        // the file that has the guest's console and QEMU's own words
	Booted time.Duration // from the start of QEMU until guestinit answered

	qemu *process
}

// Boot starts a guest and returns when its init answers. The error quotes the
// guest's log. End the guest with Close.
func Boot(ctx context.Context, c Config) (*Guest, error) {
	g := &Guest{Init: &Init{Name: c.Name}, Log: filepath.Join(c.Dir, c.Name+".log")}
	path := filepath.Join(c.Dir, c.Name+".rig")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("boot %s: %w", c.Name, err)
	}
	defer listener.Close()

	limit := c.Limit
	if limit == 0 {
		limit = guestLimit
	}
	begun := time.Now()
	// The console goes to a file of its own: QEMU truncates it.
	console := filepath.Join(c.Dir, c.Name+".console")
	g.qemu, err = startProcess(ctx, exec.Command(QEMU, c.args(path, console)...), g.Log, limit)
	if err != nil {
		return nil, fmt.Errorf("boot %s: %w", c.Name, err)
	}
	g.link, err = accept(ctx, listener, g.qemu.done, bootPatience)
	if err != nil {
		g.qemu.kill()
		return nil, fmt.Errorf("boot %s: %w; QEMU said:\n%s\nthe console:\n%s", c.Name, err, Tail(g.Log, 10), Tail(console, 20))
	}
	g.Log = console
	g.Booted = time.Since(begun)
	return g, nil
}

// accept waits for QEMU to connect and for guestinit to say hello.
func accept(ctx context.Context, listener *net.UnixListener, gone <-chan struct{}, patience time.Duration) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	go func() {
		select {
		case <-gone:
			cancel()
		case <-ctx.Done():
		}
	}()
	conn, err := listener.Accept()
	if err != nil {
		return nil, fmt.Errorf("QEMU did not connect to its control socket: %w", err)
	}
	c := newLink(conn)
	if _, err := c.last(ctx, c.register(0)); err != nil {
		c.close()
		return nil, fmt.Errorf("the guest's init did not answer: %w", err)
	}
	return c, nil
}

// PowerOff ends the guest cleanly.
func (g *Guest) PowerOff(ctx context.Context) error {
	if _, err := g.link.do(ctx, job.Command{Do: job.PowerOff}); err != nil {
		return fmt.Errorf("power off %s: %w", g.Name, err)
	}
	return g.qemu.wait(offPatience)
}

// Close ends the guest, cleanly if it still can, and returns when it has gone.
// A second call does nothing.
func (g *Guest) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = g.PowerOff(ctx)
	g.qemu.kill()
	g.link.close()
}
