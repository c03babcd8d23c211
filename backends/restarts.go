package backends

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// CaptureRestarts writes a matrix of restarts to w: for each of them the source is
// opened, its first samples are read, and it is closed, row after row (SP 800-90B
// §3.1.4.1 wants 1,000 rows of 1,000 samples). The stream that is there ends first,
// nothing of any row is tested or poured, and when it is over, the source has to pass
// a new start-up test. The source must be up, and there can be one capture at a time.
//
// What an Open does is all that can be done from here. It starts a program anew, and
// sends a device its start command; to a chip behind a driver it is no event at all.
// Where the standard's restart is meant, the device is to be powered off and on by
// hand between two rows.
//
// It ends with ctx, with an error of w, when w takes longer than PourTimeout for what
// has come, when the source gives no byte for StallAfter, and when it cannot be opened
// for that long.
func (p *Pump) CaptureRestarts(ctx context.Context, restarts, samples int, w io.Writer) error {
	if restarts <= 0 || samples <= 0 {
		return fmt.Errorf("capture %d restarts of %d samples: ask for 1 or more of each", restarts, samples)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := newCapture(samples)
	c.restarts, c.caller = restarts, ctx
	if !p.capture.CompareAndSwap(nil, c) {
		return errCapturing
	}
	defer c.leave(p)
	// In this order, as in Capture; and an Up that was seen is that of the stream which
	// is cut, or of one whose end has ended c.
	if s := p.Status(); s.State != Up {
		return fmt.Errorf("source %q is %s: only one that is up can be captured", s.Name, s.State)
	}
	(*p.cut.Load())()
	return c.write(ctx, w)
}

// restart captures what c asks for, which may have left by now, or have ended with
// the stream that it was to cut.
func (p *Pump) restart(ctx context.Context, c *capture) {
	if c == nil || c.restarts == 0 {
		return
	}
	p.record.enter(Restarting, nil)
	p.record.tell(Event{Kind: RestartsBegan, Detail: fmt.Sprintf("%d restarts of %d samples", c.restarts, c.left)})
	done, err := 0, error(nil)
	for done < c.restarts && err == nil {
		if err = p.row(ctx, c); err == nil {
			done++
		} else {
			err = fmt.Errorf("restart %d of %d: %w", done+1, c.restarts, err)
		}
	}
	p.record.tell(Event{Kind: RestartsEnded, Detail: fmt.Sprintf("after %d of %d restarts", done, c.restarts)})
	p.record.enter(Starting, nil)
	p.endCapture(c, err)
}

// row reads and offers the first samples of one restart.
func (p *Pump) row(ctx context.Context, c *capture) error {
	samples, err := p.reopen(ctx, c)
	if err != nil {
		return err
	}
	defer samples.Close()
	defer context.AfterFunc(ctx, func() { _ = samples.Close() })()
	defer context.AfterFunc(c.caller, func() { _ = samples.Close() })()
	var stalled atomic.Bool
	stall := time.AfterFunc(p.options.StallAfter, func() {
		stalled.Store(true)
		_ = samples.Close()
	})
	defer stall.Stop()
	if q, ok := samples.(interface{ drop() }); ok {
		q.drop() // what was queued before is not of this start
	}
	var buf [4096]byte
	defer clear(buf[:])
	for got := 0; got < c.left; {
		stall.Reset(p.options.StallAfter)
		n, err := samples.Read(buf[:min(len(buf), c.left-got)])
		stall.Stop()
		p.record.raw.Add(uint64(n))
		if n > 0 {
			if err := c.offer(ctx, buf[:n], p.options.PourTimeout); err != nil {
				return err
			}
		}
		got += n
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case c.caller.Err() != nil:
			return c.caller.Err()
		case got >= c.left:
		case stalled.Load():
			return fmt.Errorf("no byte for %v: %w", p.options.StallAfter, errStalled)
		case errors.Is(err, io.EOF):
			return fmt.Errorf("after %d of %d samples: %w", got, c.left, errGone)
		case err != nil:
			return fmt.Errorf("after %d of %d samples: %w", got, c.left, err)
		case n == 0:
			return io.ErrNoProgress
		}
	}
	return nil
}

// reopen opens the source again, and waits for one that is not back at once.
func (p *Pump) reopen(ctx context.Context, c *capture) (io.ReadCloser, error) {
	late := time.NewTimer(p.options.StallAfter)
	defer late.Stop()
	for pause := p.options.RetryMin; ; pause = min(2*pause, p.options.RetryMax) {
		samples, _, err := p.source.Open()
		if err == nil {
			return samples, nil
		}
		select {
		case <-time.After(pause):
		case <-late.C:
			return nil, fmt.Errorf("not back for %v: %w", p.options.StallAfter, err)
		case <-c.caller.Done():
			return nil, c.caller.Err()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
