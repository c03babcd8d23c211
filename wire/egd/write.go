package egd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"syscall"
)

// settle is the reader's way to pay: as far as it goes without waiting for the
// tap or the client. What is left it leaves to the writer. c.mu is held.
func (c *session) settle() error {
	if c.busy {
		return nil
	}
	for {
		c.fill()
		if c.end == 0 {
			break
		}
		all, err := c.flushNow()
		if err != nil {
			return err
		}
		if !all {
			break
		}
	}
	if c.end == 0 && c.debt.empty() {
		return nil
	}
	c.busy = true
	c.tasks.Add(1)
	go c.writer()
	return nil
}

// write is the writer: it pays, waiting as it must, until nothing is owed.
func (c *session) write() {
	defer c.tasks.Done()
	for {
		more, err := c.next()
		if err == nil && more {
			err = c.flush()
		}
		if err != nil {
			c.fail(err)
			c.mu.Lock() // a reader that checked before is waiting now
			c.room.Signal()
			c.mu.Unlock()
			return
		}
		if !more {
			return
		}
	}
}

// next waits until there is something in out to send. It reports false, and
// gives out back to the reader, when nothing is owed.
func (c *session) next() (more bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fill()
	if c.end == 0 && c.debt.empty() {
		c.busy = false
		c.room.Signal()
		return false, nil
	}
	if c.end == 0 { // the tap is dry, and only an OpRead waits for it
		want := min(c.debt.first().n, uint32(len(c.out)))
		c.mu.Unlock()
		n, err := c.Tap.ReadContext(c.ctx, c.out[:want])
		c.mu.Lock()
		if err != nil {
			return false, fmt.Errorf("read tap: %w", err)
		}
		c.end = n
		c.debt.pay(n)
	}
	c.room.Signal()
	return true, nil
}

// fill puts the answers that are due into out, as far as there is room and as
// the tap has bytes. c.mu is held.
func (c *session) fill() {
	for !c.debt.empty() {
		a, free := c.debt.first(), c.out[c.end:]
		if a.op == OpRead {
			want := int(min(a.n, uint32(len(free))))
			n := c.Tap.TryRead(free[:want])
			c.end += n
			c.debt.pay(n)
			if n < want || n == len(free) {
				return
			}
			continue
		}
		n := c.framed(free, a)
		if n == 0 {
			return
		}
		c.end += n
		c.debt.done()
	}
}

// framed puts the answer to anything but OpRead into p and returns its length,
// or 0 if there is no room. An empty out has room for all.
func (c *session) framed(p []byte, a answer) int {
	switch a.op {
	case OpLevel:
		if len(p) < 4 {
			return 0
		}
		bytes := uint32(min(c.Tap.Available(), math.MaxUint32/8))
		binary.BigEndian.PutUint32(p, 8*bytes)
		return 4
	case OpReadNonblock:
		if len(p) < 1+int(a.n) {
			return 0
		}
		n := c.Tap.TryRead(p[1 : 1+a.n])
		p[0] = byte(n)
		return 1 + n
	default: // OpPID
		pid := c.PID[:min(len(c.PID), MaxData)]
		if len(p) < 1+len(pid) {
			return 0
		}
		p[0] = byte(len(pid))
		return 1 + copy(p[1:], pid)
	}
}

// flush sends all of out, and waits for the client to take it.
func (c *session) flush() error {
	n, err := c.conn.Write(c.out[c.off:c.end])
	c.wrote(n)
	if err != nil {
		return broken("write egd answer", err)
	}
	return nil
}

// flushNow sends what the client's socket takes at once and reports whether
// that was all.
func (c *session) flushNow() (all bool, err error) {
	if c.raw == nil {
		return false, nil
	}
	if err := c.raw.Write(c.send); err != nil {
		return false, broken("write egd answer", err)
	}
	c.wrote(c.sent)
	if c.sendErr != nil {
		return false, broken("write egd answer", c.sendErr)
	}
	return c.end == 0, nil
}

// sendNow makes one attempt on the non-blocking descriptor of conn. It always
// reports that it is done: RawConn would else park the reader until the client
// takes something, and QEMU would in turn wait for the reader.
func (c *session) sendNow(fd uintptr) bool {
	for {
		n, err := syscall.Write(int(fd), c.out[c.off:c.end])
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if errors.Is(err, syscall.EAGAIN) {
			err = nil
		}
		c.sent, c.sendErr = max(n, 0), err
		return true
	}
}

// wrote zeroes the n bytes of out that were sent.
func (c *session) wrote(n int) {
	clear(c.out[c.off : c.off+n])
	c.Count.BytesOut.Add(uint64(n))
	if c.off += n; c.off == c.end {
		c.off, c.end = 0, 0
	}
}
