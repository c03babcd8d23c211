//go:build linux

package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"headgate/integration/rig/job"
)

const (
	guestLimit   = 2 * time.Minute
	bootPatience = 40 * time.Second // a boot takes 2 s on a quiet machine
	offPatience  = 5 * time.Second
)

// Guest is a running guest.
type Guest struct {
	Name   string
	Log    string        // the file that has the guest's console and QEMU's own words
	Booted time.Duration // from the start of QEMU until guestinit answered

	qemu *process
	link *link
}

// Boot starts a guest and returns when its init answers. The error quotes the
// guest's log. End the guest with Close.
func Boot(ctx context.Context, c Config) (*Guest, error) {
	g := &Guest{Name: c.Name, Log: filepath.Join(c.Dir, c.Name+".log")}
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
	g.link, err = accept(ctx, listener, g.qemu.done)
	if err != nil {
		g.qemu.kill()
		return nil, fmt.Errorf("boot %s: %w; QEMU said:\n%s\nthe console:\n%s", c.Name, err, Tail(g.Log, 10), Tail(console, 20))
	}
	g.Log = console
	g.Booted = time.Since(begun)
	return g, nil
}

// accept waits for QEMU to connect and for guestinit to say hello.
func accept(ctx context.Context, listener *net.UnixListener, gone <-chan struct{}) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, bootPatience)
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

// Insmod inserts modules of the image in this order.
func (g *Guest) Insmod(ctx context.Context, names ...string) error {
	_, err := g.ask(ctx, job.Command{Do: job.Insmod, Args: names})
	return err
}

// Run runs a program in the guest to its end, for at most limit.
func (g *Guest) Run(ctx context.Context, limit time.Duration, args ...string) (job.Exit, error) {
	a, err := g.ask(ctx, job.Command{Do: job.Run, Args: args, For: limit})
	if err != nil {
		return job.Exit{}, err
	}
	return *a.Exit, nil
}

// Start starts a program in the guest and leaves it running.
func (g *Guest) Start(ctx context.Context, args ...string) (*Program, error) {
	answers, err := g.link.send(ctx, job.Command{Do: job.Start, Args: args})
	if err != nil {
		return nil, fmt.Errorf("%s: start %s: %w", g.Name, args[0], err)
	}
	first, err := g.link.next(ctx, answers)
	if err == nil && first.Last {
		err = errors.New("ended at once: " + first.Error)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: start %s: %w", g.Name, args[0], err)
	}
	return &Program{guest: g, answers: answers, PID: first.PID}, nil
}

// Heartbeat tells how punctual the guest was since the last call.
func (g *Guest) Heartbeat(ctx context.Context) (job.Beat, error) {
	a, err := g.ask(ctx, job.Command{Do: job.Heartbeat})
	if err != nil {
		return job.Beat{}, err
	}
	return *a.Beat, nil
}

// KernelLog returns the records of the guest's kernel log that contain one of
// the words.
func (g *Guest) KernelLog(ctx context.Context, words ...string) ([]job.Record, error) {
	a, err := g.ask(ctx, job.Command{Do: job.Log, Args: words})
	return a.Log, err
}

// AwaitLog waits until the guest's kernel has logged the word.
func (g *Guest) AwaitLog(ctx context.Context, word string, patience time.Duration) (job.Record, error) {
	a, err := g.ask(ctx, job.Command{Do: job.AwaitLog, Args: []string{word}, For: patience})
	if err != nil {
		return job.Record{}, err
	}
	return a.Log[0], nil
}

func (g *Guest) ask(ctx context.Context, c job.Command) (job.Answer, error) {
	a, err := g.link.do(ctx, c)
	if err != nil {
		err = fmt.Errorf("%s: %s %s: %w", g.Name, c.Do, strings.Join(c.Args, " "), err)
	}
	return a, err
}

// Program is a program that runs in a guest.
type Program struct {
	PID int

	guest   *Guest
	answers *answers
}

// Memory returns the program's resident memory.
func (p *Program) Memory(ctx context.Context) (job.Memory, error) {
	a, err := p.guest.ask(ctx, job.Command{Do: job.Proc, PID: p.PID})
	if err != nil {
		return job.Memory{}, err
	}
	return *a.Proc, nil
}

// Stop ends the program (SIGTERM) and returns how it ended.
func (p *Program) Stop(ctx context.Context) (job.Exit, error) {
	if _, err := p.guest.ask(ctx, job.Command{Do: job.Stop, Target: p.answers.id}); err != nil {
		return job.Exit{}, err
	}
	a, err := p.guest.link.last(ctx, p.answers)
	if err != nil {
		return job.Exit{}, err
	}
	return *a.Exit, nil
}
