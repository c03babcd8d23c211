package backends

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"headgate/backends/health"
)

var (
	errStalled = errors.New("it is stuck, or nothing writes to it")
	errGone    = errors.New("end of file: the device, or what writes to it, has gone")
)

// stream is one stream of samples, from Open to Close.
type stream struct {
	pump    *Pump
	samples io.ReadCloser
	monitor *health.Monitor
	h       float64
	counts  bool // what is poured is credited

	// buf begins with the held samples, which are tested and not yet poured: the
	// run at the end of the last window. The next window is read in behind them.
	buf  []byte
	held int

	stall   *time.Timer // closes the stream
	stalled atomic.Bool
}

// stream opens the source and carries its samples until something is wrong. It
// returns how long the source was up, which is 0 if it did not pass the start-up
// test, and never returns without an error.
func (p *Pump) stream(ctx context.Context) (up time.Duration, err error) {
	samples, info, err := p.source.Open()
	if err != nil {
		return 0, openError{err}
	}
	defer samples.Close()
	defer context.AfterFunc(ctx, func() { _ = samples.Close() })()
	s, err := p.begin(samples, info)
	if err != nil {
		return 0, err
	}
	defer s.end()
	if q, ok := samples.(interface{ drop() }); ok && p.told == Failed {
		// What the source has queued since it failed says nothing of it now, and many
		// start-up tests would fail of it, with a longer pause after each.
		q.drop()
	}
	p.record.opened(info)
	p.sink.Begin(info.Origin, info.Credited)
	if err := s.startup(); err != nil {
		return 0, err
	}
	p.leash.Store(newLeash(ctx, p.options.PourTimeout))
	defer func() { p.leash.Load().cancel() }()
	p.ready(info)
	began := time.Now()
	for err == nil {
		err = s.window(ctx)
	}
	return max(time.Since(began), 1), err
}

// begin makes ready for the first sample.
func (p *Pump) begin(samples io.ReadCloser, info Info) (*stream, error) {
	s := &stream{pump: p, samples: samples, h: info.MinEntropy, counts: info.Credited}
	var err error
	if s.monitor, err = health.New(health.Params{MinEntropy: s.h, AlphaLog2: p.options.AlphaLog2}); err != nil {
		return nil, err
	}
	// A run that is as long as the cutoff has failed, so no longer one is held.
	s.buf = make([]byte, health.RCTCutoff(s.h, p.options.AlphaLog2)+health.Window)
	s.stall = time.AfterFunc(p.options.StallAfter, func() {
		s.stalled.Store(true)
		_ = samples.Close()
	})
	return s, nil
}

// end wipes what is left.
func (s *stream) end() {
	s.stall.Stop()
	clear(s.buf)
	s.monitor.Reset()
}

// startup tests the first samples and drops them (SP 800-90B §4.3).
func (s *stream) startup() error {
	for range health.StartupSamples / health.Window {
		if err := s.next(s.buf[:health.Window]); err != nil {
			return err
		}
		clear(s.buf[:health.Window])
	}
	return nil
}

// window reads and tests the next window, and pours all but the run at its end.
func (s *stream) window(ctx context.Context) error {
	tested := s.buf[:s.held+health.Window]
	if err := s.next(tested[s.held:]); err != nil {
		return err
	}
	open := min(s.monitor.Run(), len(tested))
	ready := tested[:len(tested)-open]
	if err := s.pump.pour(ctx, s.pump.divert(ctx, ready), s.h, s.counts); err != nil {
		return err
	}
	s.held = copy(s.buf, tested[len(ready):])
	clear(tested[s.held:])
	return nil
}

// next fills p with new samples. They are tested as they come: a slow source may
// take minutes for a window, and one that sends a failing run and nothing after it
// has failed. On a failure, nothing that is in the pump or unused in the sink is
// ever used.
func (s *stream) next(p []byte) error {
	for len(p) > 0 {
		s.stall.Reset(s.pump.options.StallAfter)
		n, err := s.samples.Read(p)
		s.stall.Stop()
		s.pump.record.raw.Add(uint64(n))
		if err := s.monitor.Test(p[:n]); err != nil {
			clear(s.buf)
			s.pump.sink.Forfeit()
			return err
		}
		p = p[n:]
		switch {
		case s.stalled.Load():
			return fmt.Errorf("no byte for %v: %w", s.pump.options.StallAfter, errStalled)
		case err == io.EOF && len(p) > 0:
			return errGone
		case err != nil && len(p) > 0:
			return err
		case n == 0 && len(p) > 0:
			return io.ErrNoProgress
		}
	}
	return nil
}
