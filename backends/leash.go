package backends

import (
	"context"
	"time"
)

// leash is the context of the pours of one stream: it ends when one of them takes
// too long, or when a capture wants the samples. It lasts for many pours, so that
// none of them has to make its own.
type leash struct {
	context.Context
	cancel context.CancelFunc
	timer  *time.Timer
}

func newLeash(ctx context.Context, d time.Duration) *leash {
	l := new(leash)
	l.Context, l.cancel = context.WithCancel(ctx)
	l.timer = time.AfterFunc(d, l.cancel)
	l.timer.Stop()
	return l
}

// pour gives ready samples to the sink. If that has no room in time they are
// dropped, which is no error: the source has to be read on, since its tests go on
// whether anybody drinks or not.
func (p *Pump) pour(ctx context.Context, ready []byte, h float64, credited bool) error {
	if len(ready) == 0 {
		return nil
	}
	l := p.leash.Load()
	l.timer.Reset(p.options.PourTimeout)
	err := p.sink.Pour(l, ready, h)
	l.timer.Stop()
	if err == nil && credited {
		p.record.credit(float64(len(ready)) * h)
	}
	if l.Err() == nil {
		return err
	}
	// The new leash is in place before the next look for a capture, and a capture
	// is in place before it pulls: the pull is never lost.
	l.cancel()
	p.leash.Store(newLeash(ctx, p.options.PourTimeout))
	return ctx.Err()
}
