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
	Booted time.Duration // from the start of QEMU until guestinit answered, or until it had taken up a saved state

	qemu    *process
	monitor *monitor
}

// sockets are those that a QEMU of the rig connects to.
type sockets struct{ control, monitor string }

func (c Config) sockets() sockets {
	path := filepath.Join(c.Dir, c.Name)
	return sockets{control: path + ".rig", monitor: path + ".qmp"}
}

// Boot starts a guest and returns when its init answers. The error quotes the
// guest's log. End the guest with Close.
func Boot(ctx context.Context, c Config) (*Guest, error) {
	begun := time.Now()
	g, err := start(ctx, c, nil)
	if err != nil {
		return nil, fmt.Errorf("boot %s: %w", c.Name, err)
	}
	if err := hello(ctx, g.link, bootPatience); err != nil {
		g.end()
		return nil, fmt.Errorf("boot %s: %w; QEMU said:\n%s\nthe console:\n%s", c.Name, err, Tail(g.qemu.log, 10), Tail(g.Log, 20))
	}
	g.Booted = time.Since(begun)
	return g, nil
}

// start starts a QEMU with more arguments, and returns when it has connected to the
// rig's sockets.
func start(ctx context.Context, c Config, more []string) (*Guest, error) {
	// The console goes to a file of its own: QEMU truncates it.
	log, console := filepath.Join(c.Dir, c.Name+".log"), filepath.Join(c.Dir, c.Name+".console")
	paths := c.sockets()
	control, err := net.ListenUnix("unix", &net.UnixAddr{Name: paths.control, Net: "unix"})
	if err != nil {
		return nil, err
	}
	defer control.Close()
	monitor, err := net.ListenUnix("unix", &net.UnixAddr{Name: paths.monitor, Net: "unix"})
	if err != nil {
		return nil, err
	}
	defer monitor.Close()

	limit := c.Limit
	if limit == 0 {
		limit = guestLimit
	}
	g := &Guest{Init: &Init{Name: c.Name}, Log: console}
	g.qemu, err = startProcess(ctx, exec.Command(QEMU, append(c.args(paths, console), more...)...), log, limit)
	if err != nil {
		return nil, err
	}
	m, err := accept(ctx, monitor, g.qemu.done, bootPatience)
	if err == nil {
		g.monitor = newMonitor(m)
		var c net.Conn
		if c, err = accept(ctx, control, g.qemu.done, bootPatience); err == nil {
			g.link = newLink(c)
			return g, nil
		}
		m.Close()
	}
	g.qemu.kill()
	return nil, fmt.Errorf("%w; QEMU said:\n%s", err, Tail(log, 10))
}

// accept waits for QEMU to connect.
func accept(ctx context.Context, listener *net.UnixListener, gone <-chan struct{}, patience time.Duration) (net.Conn, error) {
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
		return nil, fmt.Errorf("QEMU did not connect to %s: %w", listener.Addr(), err)
	}
	return conn, nil
}

// hello waits for guestinit to say that it is there.
func hello(ctx context.Context, c *link, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := c.last(ctx, c.register(0)); err != nil {
		return fmt.Errorf("the guest's init did not answer: %w", err)
	}
	return nil
}

// PID is that of the guest's QEMU.
func (g *Guest) PID() int { return g.qemu.pid }

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
	g.end()
}

// end ends the guest at once.
func (g *Guest) end() {
	g.qemu.kill()
	g.link.close()
	g.monitor.close()
}
