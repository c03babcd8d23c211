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

// client is one guest of the daemon.
type client struct {
	path   string
	device bool          // a vhost-user device's front end, not an EGD client
	got    atomic.Uint64 // bytes
}

// line is a connection to the daemon. It ends with the context that it was made with.
type line interface {
	ask(n int) (got int, err error) // waits for n bytes, or for some of them
	close()
}

func (c *client) connect(ctx context.Context) (line, error) {
	if c.device {
		return startDevice(ctx, c.path)
	}
	conn, err := dial(ctx, c.path)
	if err != nil {
		return nil, err
	}
	return egd{conn, hangUp(ctx, conn)}, nil
}

// greedy asks again as soon as it has been answered, until ctx is done.
func (c *client) greedy(ctx context.Context) error {
	l, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	for {
		if err := c.ask(l, request); err != nil {
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
		l, err := c.connect(ctx)
		if err == nil {
			err = c.ask(l, request)
			l.close()
		}
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
	l, err := c.connect(ctx)
	if err != nil {
		return 0, err
	}
	defer l.close()
	if err := c.ask(l, n); err != nil {
		return 0, err
	}
	return time.Since(start), nil
}

// ask waits for n bytes.
func (c *client) ask(l line, n int) error {
	for n > 0 {
		got, err := l.ask(n)
		c.got.Add(uint64(got))
		if err != nil {
			return err
		}
		n -= got
	}
	return nil
}

// egd is a line to an EGD socket.
type egd struct {
	net.Conn
	end func()
}

// ask makes one blocking request (opcode 02) and waits for its answer.
func (l egd) ask(n int) (int, error) {
	if _, err := l.Write([]byte{2, byte(n)}); err != nil {
		return 0, err
	}
	var buf [255]byte
	_, err := io.ReadFull(l, buf[:n])
	if err != nil {
		return 0, err
	}
	return n, nil
}

func (l egd) close() { l.end() }

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
