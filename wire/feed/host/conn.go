package host

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"headgate/wire/feed"
)

// chunk is the most random bytes in one frame to the guest. It keeps an idle
// connection small; a larger request gets several grants.
const chunk = 512

const readSize = 256 // one report, the largest frame from a guest, fits

// conn is one connection: its reader is the caller of Serve, its writer a
// goroutine that exists while something is owed.
type conn struct {
	server  *Server
	rw      io.ReadWriteCloser
	count   *Counters
	debt    debt
	reports reports
	epoch   feed.Epoch
	in      [readSize]byte
	data    [chunk]byte
	frame   [chunk + 32]byte
}

func newConn(s *Server, rw io.ReadWriteCloser) *conn {
	c := &conn{server: s, rw: rw, count: s.Count}
	c.reports.deliver = s.Report
	if c.count == nil {
		c.count = new(Counters)
	}
	return c
}

// read takes frames from the guest until it hangs up. It never waits for the
// writer, so the guest's writes never block on us.
func (c *conn) read() error {
	dec := feed.Decoder{Accept: feed.ToHost}
	kept := 0
	for {
		n, err := c.rw.Read(c.in[kept:])
		kept = c.take(&dec, kept+n)
		if err != nil {
			return ended("read from guest", err)
		}
	}
}

var errHungUp = errors.New("the guest hung up")

// ended returns err, or nil if it only says that one of the two sides hung up.
func ended(what string, err error) error {
	for _, bye := range []error{io.EOF, io.ErrClosedPipe, os.ErrClosed, syscall.EPIPE, syscall.ECONNRESET} {
		if errors.Is(err, bye) {
			return nil
		}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// take handles the whole frames in c.in[:end] and returns how many bytes it kept.
func (c *conn) take(dec *feed.Decoder, end int) int {
	at := 0
	skipped, bad := dec.Skipped, dec.BadCRC
	for {
		f, n, err := dec.Next(c.in[at:end])
		at += n
		if err != nil {
			break
		}
		switch f.Type {
		case feed.TypeRequest:
			if c.debt.addBytes(int(f.N)) {
				c.count.Requests.Add(1)
			} else {
				c.count.Refused.Add(1)
			}
		case feed.TypeReport:
			c.count.Reports.Add(1)
			c.reports.put(f.Report)
		}
	}
	skipped, bad = dec.Skipped-skipped, dec.BadCRC-bad
	if skipped+bad > 0 {
		c.count.Skipped.Add(skipped)
		c.count.BadCRC.Add(bad)
		c.count.Garbage.Add(1)
	}
	return copy(c.in[:], c.in[at:end])
}

// write pays what is owed; done says that the connection cannot go on, because
// ctx is done, the guest hung up or err. Frames leave in the order of their
// epochs: a grant is never sent under an older epoch than the push before it.
func (c *conn) write(ctx context.Context) (done bool, err error) {
	for {
		push, owed, ok := c.debt.next()
		switch {
		case !ok:
			return false, nil
		case push:
			err = c.push(ctx)
		default:
			err = c.grant(ctx, min(owed, chunk))
		}
		switch {
		case ctx.Err() != nil, errors.Is(err, errHungUp):
			return true, nil
		case err != nil:
			return true, err
		}
	}
}

func (c *conn) push(ctx context.Context) error {
	size := c.server.PushBytes
	if size <= 0 {
		size = DefaultPush
	}
	p := c.data[:min(size, chunk)]
	whole := true
	for got := 0; got < len(p); {
		n, full, err := c.server.read(ctx, p[got:])
		if got += n; n == 0 && err != nil {
			clear(p)
			return err
		}
		whole = whole && full
	}
	_, _ = rand.Read(c.epoch[:]) // never fails since Go 1.24
	err := c.send(feed.TypePush, p, whole)
	if err == nil {
		c.count.Pushes.Add(1)
	}
	return err
}

func (c *conn) grant(ctx context.Context, want int) error {
	p := c.data[:want]
	n, full := c.server.tryRead(p)
	if n == 0 {
		wait, done := c.debt.interruptible(ctx)
		var err error
		n, full, err = c.server.read(wait, p)
		interrupted := wait.Err() != nil
		done()
		if n == 0 && !interrupted {
			return err
		}
		if n == 0 {
			return nil // a push goes first
		}
	}
	c.debt.paid(n)
	return c.send(feed.TypeGrant, p[:n], full)
}

// send writes p and zeroes it. Full says that all of it has full entropy.
func (c *conn) send(t feed.Type, p []byte, full bool) error {
	b, err := feed.Append(c.frame[:0], &feed.Frame{Type: t, Epoch: c.epoch, Bits: claim(len(p), full), Data: p})
	if err == nil {
		_, err = c.rw.Write(b)
	}
	if err != nil {
		err = cmp.Or(ended("write to guest", err), errHungUp)
	}
	c.count.BytesOut.Add(uint64(len(p)))
	clear(p)
	clear(b)
	return err
}
