package backends

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

var (
	errCapturing = errors.New("another capture of this source is running: wait for its end")
	errSlow      = errors.New("the writer of the capture is too slow for the source")
)

// capture is the way of raw samples to one caller of Capture or CaptureRestarts. The
// pump fills and closes chunks; the caller closes gone.
type capture struct {
	left   int // samples; of CaptureRestarts, in each row
	chunks chan []byte
	gone   chan struct{}
	err    error // is set before chunks is closed

	restarts int             // 0: what the stream that is there goes on with is wanted
	caller   context.Context // of CaptureRestarts
}

func newCapture(n int) *capture {
	return &capture{left: n, chunks: make(chan []byte, 128), gone: make(chan struct{})}
}

// Capture writes the next n raw samples of the source to w instead of pouring
// them: consecutive ones, none of which is ever poured. The health tests go on,
// and a failure ends the capture with an error, as does the end of the stream.
// The source must be up, and there can be one capture at a time.
func (p *Pump) Capture(ctx context.Context, n int, w io.Writer) error {
	if n <= 0 {
		return fmt.Errorf("capture %d bytes: ask for 1 or more", n)
	}
	c := newCapture(n)
	if !p.capture.CompareAndSwap(nil, c) {
		return errCapturing
	}
	defer c.leave(p)
	// In this order: when a stream ends now, the pump sees the capture or we see the end.
	if s := p.Status(); s.State != Up {
		return fmt.Errorf("source %q is %s: only one that is up can be captured", s.Name, s.State)
	}
	p.leash.Load().cancel() // the sink may be full for long; a window is lost to this
	return c.write(ctx, w)
}

// write writes what comes to w until the pump ends it, or ctx.
func (c *capture) write(ctx context.Context, w io.Writer) error {
	for {
		select {
		case chunk, ok := <-c.chunks:
			if !ok {
				return c.err
			}
			_, err := w.Write(chunk)
			clear(chunk)
			if err != nil {
				return fmt.Errorf("write the capture: %w", err)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// leave is the end that the caller makes, and wipes what was not written.
func (c *capture) leave(p *Pump) {
	p.capture.CompareAndSwap(c, nil)
	close(c.gone)
	c.wipe()
}

// wipe takes out and zeroes the chunks that nobody will.
func (c *capture) wipe() {
	for {
		select {
		case chunk, ok := <-c.chunks:
			if !ok {
				return
			}
			clear(chunk)
		default:
			return
		}
	}
}

// divert gives ready samples to a capture, if there is one, and returns those that
// are left to be poured.
func (p *Pump) divert(ctx context.Context, ready []byte) []byte {
	c := p.capture.Load()
	if c == nil || c.restarts > 0 || len(ready) == 0 {
		return ready
	}
	select {
	case <-c.gone:
		return ready
	default:
	}
	n := min(c.left, len(ready))
	if err := c.offer(ctx, ready[:n], p.options.PourTimeout); err != nil {
		p.endCapture(c, err)
	} else if c.left -= n; c.left == 0 {
		p.endCapture(c, nil)
	}
	return ready[n:]
}

// offer sends a copy of samples, and waits for room in the channel for that long.
// The caller may leave at any time: whichever of the two comes second wipes what
// nobody will write.
func (c *capture) offer(ctx context.Context, samples []byte, patience time.Duration) error {
	chunk := bytes.Clone(samples)
	var err error
	select {
	case c.chunks <- chunk:
		select {
		case <-c.gone:
			c.wipe()
		default:
		}
		return nil
	case <-c.gone:
	case <-ctx.Done():
		err = ctx.Err()
	case <-time.After(patience):
		err = errSlow
	}
	clear(chunk)
	return err
}

// endCapture ends c, unless its caller has: by now another capture may be in its
// place, to which err is nothing. Only the pump's task calls it.
func (p *Pump) endCapture(c *capture, err error) {
	if c != nil && p.capture.CompareAndSwap(c, nil) {
		c.err = err
		close(c.chunks)
	}
}
