package vchan

import (
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Conn is one side of a vchan. One goroutine reads and one writes at a time; a
// second one waits for the first. Close and the deadlines may come from any.
type Conn struct {
	role role
	page page
	bell bell
	free func() error // gives pages and ports back, once nobody uses them

	closed atomic.Bool
	broken atomic.Pointer[failure] // why no more is possible

	reader, writer half
	in             inbound  // reader.busy
	out            outbound // writer.busy

	mu     sync.Mutex // who waits
	leader *half      // waits at the bell, for the other one as well

	moved atomic.Bool   // bytes worth an event, since one was last judged
	pace  pace          // the leader's
	owed  time.Duration // the leader's: a pause for the event before
}

// half is what a Conn has for each direction.
type half struct {
	conn    *Conn
	ask     uint32        // the bit that has the peer ring
	ready   func() bool   // there is something to do, or the peer has gone or broken the ring
	busy    sync.Mutex    // held by the one that reads or writes
	follows bool          // conn.mu: waits for woken
	woken   chan struct{} // one place
	limit   deadline
}

// newConn makes a Conn over shared memory and a bell. The indices that the page has
// are where both begin.
func newConn(r role, p page, inbuf, outbuf []byte, b bell, free func() error) (*Conn, error) {
	c := &Conn{role: r, page: p, bell: b, free: free}
	c.in = inbound{buf: inbuf, cons: p.load(r.inCons)}
	c.in.prod = c.in.cons
	c.out = outbound{buf: outbuf, prod: p.load(r.outProd), cons: p.load(r.outCons)}
	if c.out.prod-c.out.cons > uint32(len(outbuf)) {
		return nil, ErrCorrupt
	}
	c.reader.init(c, onWrite, c.readable)
	c.writer.init(c, onRead, c.writable)
	return c, nil
}

func (h *half) init(c *Conn, bit uint32, ready func() bool) {
	h.conn, h.ready = c, ready
	h.ask = bit << c.role.ask
	h.woken = make(chan struct{}, 1)
}

// Read waits until there are bytes and takes as many as there are, up to len(p). It
// returns io.EOF once the peer has gone and all has been read. A server's waits for
// its client to come, too.
func (c *Conn) Read(p []byte) (int, error) {
	c.reader.busy.Lock()
	defer c.reader.busy.Unlock()
	for {
		if err := c.usable(&c.reader); err != nil || len(p) == 0 {
			return 0, err
		}
		gone := c.gone() // before prod: what was written before the end is read
		if err := c.in.see(c.page.load(c.role.inProd)); err != nil {
			return 0, c.breakWith("read", err)
		}
		if n := c.in.take(p); n > 0 {
			c.page.store(c.role.inCons, c.in.cons)
			c.moved.Store(true)
			return n, c.tell("read", onRead)
		}
		if gone {
			return 0, io.EOF
		}
		if err := c.await(&c.reader); err != nil {
			return 0, err
		}
	}
}

// Write waits until all of p is in the ring. It fails with an error that is
// syscall.EPIPE once the peer has gone. A server's may come before its client.
func (c *Conn) Write(p []byte) (n int, err error) {
	c.writer.busy.Lock()
	defer c.writer.busy.Unlock()
	for {
		if err := c.usable(&c.writer); err != nil || n == len(p) {
			return n, err
		}
		if c.gone() {
			return n, errGone
		}
		if err := c.out.see(c.page.load(c.role.outCons)); err != nil {
			return n, c.breakWith("write", err)
		}
		if k := c.out.put(p[n:]); k > 0 {
			n += k
			c.page.store(c.role.outProd, c.out.prod)
			if k >= drip || n == len(p) {
				c.moved.Store(true)
			}
			if err := c.tell("write", onWrite); err != nil || n == len(p) {
				return n, err
			}
			continue
		}
		if err := c.await(&c.writer); err != nil {
			return n, err
		}
	}
}

// usable says why a half can do nothing any more.
func (c *Conn) usable(h *half) error {
	if c.closed.Load() {
		return os.ErrClosed
	}
	if err := c.broken.Load(); err != nil {
		return err
	}
	if h.limit.over.Load() {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// gone says whether the peer has left. One that awaits its client is not gone.
func (c *Conn) gone() bool { return c.page.flags()&c.role.peer == liveGone }

// Met says whether the peer is there; a server's client may still have to come. It
// waits for a Read that waits.
func (c *Conn) Met() bool {
	c.reader.busy.Lock() // the page stays
	defer c.reader.busy.Unlock()
	one := c.role.peer & -c.role.peer // its byte's lowest bit
	return !c.closed.Load() && c.page.flags()&c.role.peer == liveHere*one
}

// tell wakes the peer if it asked to be told of this. Its wish is looked at after
// our index was moved, and the peer looks at the index after it wished: one of the
// two sees the other.
func (c *Conn) tell(op string, what uint32) error {
	bit := what << c.role.heed
	if c.page.flags()&bit == 0 {
		return nil
	}
	c.page.clear(bit) // before the bell: a wish from after that is a new one
	if err := c.bell.ring(); err != nil {
		return c.breakWith(op, err)
	}
	return nil
}

// breakWith ends the Conn for both halves; the first cause stays.
func (c *Conn) breakWith(op string, err error) error {
	if c.closed.Load() {
		return os.ErrClosed
	}
	c.broken.CompareAndSwap(nil, &failure{"vchan: " + op, err})
	c.wakeAll()
	return c.broken.Load()
}

// readable and writable look whether their half has something to do. They are
// called by who holds busy, or by the leader while that one follows.
func (c *Conn) readable() bool {
	return c.gone() || c.page.load(c.role.inProd) != c.in.cons
}

func (c *Conn) writable() bool {
	return c.gone() || c.page.load(c.role.outCons) != c.out.prod-uint32(len(c.out.buf))
}

// Close tells the peer, wakes whoever waits, and gives everything back. What was
// written stays for the peer to read; what was not read is zeroed.
func (c *Conn) Close() error {
	return c.shut(func() error {
		c.page.clear(c.role.own)
		_ = c.bell.ring() // the kernel rings again when the page is unmapped
		return c.free()
	})
}

// shut wakes whoever waits, zeroes what was not read, and calls last when nobody uses
// the Conn any more.
func (c *Conn) shut(last func() error) error {
	if c.closed.Swap(true) {
		return os.ErrClosed
	}
	c.wakeAll()
	c.reader.busy.Lock() // both have left
	c.writer.busy.Lock()
	defer c.reader.busy.Unlock()
	defer c.writer.busy.Unlock()
	c.reader.limit.stop()
	c.writer.limit.stop()
	if c.in.see(c.page.load(c.role.inProd)) == nil {
		c.in.forget()
	}
	return last()
}
