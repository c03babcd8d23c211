//go:build linux

package load

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// request is what a Linux guest's hwrng core asks for at a time on x86, in bytes.
const request = 64

// client is one guest of the daemon, reached through an EGD socket.
type client struct {
	path string
	got  atomic.Uint64 // bytes
}

// greedy asks again as soon as it has been answered, until ctx is done.
func (c *client) greedy(ctx context.Context) error {
	conn, err := dial(ctx, c.path)
	if err != nil {
		return err
	}
	defer hangUp(ctx, conn)()
	for {
		if err := c.ask(conn, request); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}

// restless is greedy, and connects anew for each request.
func (c *client) restless(ctx context.Context) error {
	for ctx.Err() == nil {
		conn, err := dial(ctx, c.path)
		if err != nil {
			return err
		}
		done := hangUp(ctx, conn)
		err = c.ask(conn, request)
		done()
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// newcomer connects for the first time, and returns how long its first n bytes
// took.
func (c *client) newcomer(ctx context.Context, n int) (time.Duration, error) {
	start := time.Now()
	conn, err := dial(ctx, c.path)
	if err != nil {
		return 0, err
	}
	defer hangUp(ctx, conn)()
	if err := c.ask(conn, n); err != nil {
		return 0, err
	}
	return time.Since(start), nil
}

// ask makes one blocking request (opcode 02) and waits for its answer.
func (c *client) ask(conn net.Conn, n int) error {
	if _, err := conn.Write([]byte{2, byte(n)}); err != nil {
		return err
	}
	var buf [255]byte
	if _, err := io.ReadFull(conn, buf[:n]); err != nil {
		return err
	}
	c.got.Add(uint64(n))
	return nil
}

func dial(ctx context.Context, path string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "unix", path)
}

// hangUp closes conn when ctx is done or the function that it returns is called.
func hangUp(ctx context.Context, conn net.Conn) func() {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	return func() {
		stop()
		conn.Close()
	}
}

// crowd runs many clients and remembers the first thing that went wrong.
type crowd struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	tasks  sync.WaitGroup
}

func newCrowd(ctx context.Context) *crowd {
	c := &crowd{}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	return c
}

func (c *crowd) run(f func(context.Context) error) {
	c.tasks.Go(func() {
		if err := f(c.ctx); err != nil {
			c.cancel(err)
		}
	})
}

// pause waits, and returns early with an error if a client failed.
func (c *crowd) pause(d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-c.ctx.Done():
		return context.Cause(c.ctx)
	}
}

func (c *crowd) end() {
	c.cancel(nil)
	c.tasks.Wait()
}

// tempDir makes a folder for sockets, in memory where it can be, as /run is.
func tempDir() (string, error) {
	if dir, err := os.MkdirTemp("/dev/shm", "load"); err == nil {
		return dir, nil
	}
	return os.MkdirTemp("", "load")
}
