package vchan

import (
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// deadline is when a half gives up. Its timer is made once and used again.
type deadline struct {
	over  atomic.Bool
	mu    sync.Mutex
	at    time.Time // zero: never
	timer *time.Timer
}

// SetDeadline is when a Read and a Write give up with os.ErrDeadlineExceeded, those
// that wait now and those to come; never for the zero time.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline is SetDeadline for Read alone.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.reader.until(t) }

// SetWriteDeadline is SetDeadline for Write alone.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.writer.until(t) }

func (h *half) until(t time.Time) error {
	d := &h.limit
	d.mu.Lock()
	defer d.mu.Unlock()
	if h.conn.closed.Load() {
		return os.ErrClosed
	}
	d.at = t
	left := time.Until(t)
	switch {
	case t.IsZero():
		d.over.Store(false)
		if d.timer != nil {
			d.timer.Stop()
		}
	case left <= 0:
		h.expire()
	case d.timer == nil:
		d.over.Store(false)
		d.timer = time.AfterFunc(left, h.due)
	default:
		d.over.Store(false)
		d.timer.Reset(left)
	}
	return nil
}

// due is the timer's. It may come late, after another deadline was set, or early,
// where the clock on the wall was set back.
func (h *half) due() {
	d := &h.limit
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.at.IsZero() || h.conn.closed.Load() {
		return
	}
	if left := time.Until(d.at); left > 0 {
		d.timer.Reset(left)
		return
	}
	h.expire()
}

// expire ends a wait of h; with limit.mu held.
func (h *half) expire() {
	h.limit.over.Store(true)
	h.conn.rouse(h)
}

func (d *deadline) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
	}
}
