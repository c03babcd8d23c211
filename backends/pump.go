package backends

import (
	"cmp"
	"context"
	"errors"
	"sync/atomic"
	"time"

	"headgate/backends/health"
)

// Sink takes tested samples.
type Sink interface {
	// Begin tells where the samples come from and whether they count, after each Open
	// and before anything of that stream is poured: the driver behind a device, and
	// with it the origin, is not known sooner and may change. What is not used yet of
	// the stream before is forfeited. It is not when that ends: unless by a failure, it
	// was good.
	Begin(origin string, credited bool)
	// Pour takes samples of h bits of min-entropy each, and waits for room until
	// ctx is done. The samples remain the caller's.
	Pour(ctx context.Context, samples []byte, h float64) error
	// Forfeit drops the credit of what was poured and is not used yet.
	Forfeit()
}

// PumpOptions are what a Pump may be given; zero values are the defaults.
type PumpOptions struct {
	AlphaLog2 int         // of the health tests; see health.Params
	Event     func(Event) // is called by the pump's task, and must not wait

	StallAfter  time.Duration // without one byte, a source counts as lost: 60 s
	PourTimeout time.Duration // a full sink is waited for that long: 10 s
	RetryMin    time.Duration // first pause before a source is tried again: 100 ms
	RetryMax    time.Duration // the pause doubles up to this one: 5 s
}

// Pump is the task of one source: it opens it, runs the start-up test, and then
// reads a window, tests it and pours it, again and again.
type Pump struct {
	source  Source
	sink    Sink
	options PumpOptions
	record  *record

	told    string // the last state that an event told of, but for starting
	capture atomic.Pointer[capture]
	cut     atomic.Pointer[context.CancelFunc] // ends the stream that is there
	leash   atomic.Pointer[leash]
}

// NewPump returns the pump of source, which c describes.
func NewPump(c Config, source Source, sink Sink, o PumpOptions) *Pump {
	o.AlphaLog2 = cmp.Or(o.AlphaLog2, health.DefaultAlphaLog2)
	o.StallAfter = cmp.Or(o.StallAfter, time.Minute)
	o.PourTimeout = cmp.Or(o.PourTimeout, 10*time.Second)
	o.RetryMin = cmp.Or(o.RetryMin, 100*time.Millisecond)
	o.RetryMax = cmp.Or(o.RetryMax, 5*time.Second)
	return &Pump{source: source, sink: sink, options: o, record: newRecord(c, o.Event)}
}

// Status returns a snapshot.
func (p *Pump) Status() Status { return p.record.snapshot() }

// Run carries samples until ctx is done, and then returns nil. Whatever happens to
// the source, it is tried again.
func (p *Pump) Run(ctx context.Context) error {
	defer func() {
		p.record.enter(Ended, nil)
		p.endCapture(p.capture.Load(), ctx.Err())
	}()
	pause := p.options.RetryMin
	for {
		streamCtx, cut := context.WithCancel(ctx)
		p.cut.Store(&cut)
		up, err := p.stream(streamCtx)
		// A failure just before the cut is told like any other, and ends the capture.
		wasCut := streamCtx.Err() != nil && !errors.As(err, new(*health.Failure))
		cut()
		if ctx.Err() != nil {
			return nil
		}
		if wasCut { // for a capture of restarts
			p.restart(ctx, p.capture.Load())
			pause = p.options.RetryMin
			continue
		}
		// In this order: a capture that comes in between sees the new state itself.
		p.settle(err, up > 0)
		p.endCapture(p.capture.Load(), err)
		if up > p.options.RetryMax { // it was well for a while
			pause = p.options.RetryMin
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause = min(2*pause, p.options.RetryMax)
	}
}

// openError marks the errors of Source.Open.
type openError struct{ error }

func (e openError) Unwrap() error { return e.error }

// settle sorts what has ended a stream, which had passed its start-up test or not.
// Failures are told each time, other states when they change.
func (p *Pump) settle(err error, wasUp bool) {
	var failure *health.Failure
	if errors.As(err, &failure) {
		kind := StartupFailed
		if wasUp {
			kind = SourceFailed
		}
		p.told = Failed
		p.record.failed(failure, kind)
		return
	}
	state, kind := Missing, SourceLost
	if errors.As(err, new(openError)) {
		kind = SourceMissing
	}
	if errors.Is(err, errUsedUp) {
		state, kind = Ended, SourceLost
	}
	p.record.enter(state, err)
	if p.told != state {
		p.told = state
		p.record.tell(Event{Kind: kind, Detail: err.Error()})
	}
}

// ready notes that the start-up test was passed.
func (p *Pump) ready(info Info) {
	p.told = Up
	p.record.enter(Up, nil)
	p.record.tell(Event{Kind: StartupPassed})
	p.record.tell(Event{Kind: SourceUp, Detail: info.Driver})
}
