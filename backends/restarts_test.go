package backends

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"headgate/backends/health"
)

// starts is a source of which each stream begins with the number of the Open, in
// pieces of 100 samples at 1 ms each.
type starts struct {
	Fake
	mu     sync.Mutex
	opens  int
	refuse int // no Open from this one on, for
	times  int // so many
	ends   int // each stream ends after so many samples; 0: never; -1: none comes at all
}

var errAway = errors.New("no such device")

func newStarts() *starts {
	s := &starts{Fake: Fake{Info: Info{MinEntropy: 6}}}
	s.Refuse = func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.opens++
		if n := s.opens - s.refuse; s.refuse > 0 && n >= 0 && n < s.times {
			return errAway
		}
		s.Fill = nil
		given, ends, samples := 0, s.ends, first(s.opens, 20000)
		if ends < 0 {
			return nil
		}
		s.Fill = func(p []byte) (int, error) {
			time.Sleep(time.Millisecond)
			p = p[:min(len(p), 100)]
			if ends > 0 {
				p = p[:min(len(p), ends-given)]
			}
			if len(p) == 0 {
				return 0, io.EOF
			}
			n := copy(p, samples[given%len(samples):])
			given += n
			return n, nil
		}
		return nil
	}
	return s
}

// first are the first n samples after an Open.
func first(open, n int) []byte {
	return append([]byte{byte(open), byte(open >> 8)}, good(n-2, byte(open))...)
}

// change is for the time after the next Open, which is the first of the rows.
func (s *starts) change(refuse, times, ends int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse, s.times, s.ends = refuse, times, ends
}

func up(t *testing.T, r *rig) {
	t.Helper()
	pass(50 * time.Millisecond)
	if s := r.Status(); s.State != Up {
		t.Fatalf("%+v", s)
	}
}

// TestCaptureRestarts has each row be the first samples of a start of its own, in
// order; none of them is poured, and afterwards the source is up after a new test.
func TestCaptureRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newStarts()
		r := start(t, source, new(bucket), PumpOptions{})
		defer r.stop()
		up(t, r)
		before, matrix := len(r.bytes()), new(bytes.Buffer)
		done := make(chan error, 1)
		go func() { done <- r.CaptureRestarts(t.Context(), 50, 250, matrix) }()
		pass(60 * time.Millisecond)
		if s := r.Status(); s.State != Restarting || s.Error != "" {
			t.Errorf("meanwhile: %+v", s)
		}
		if err := r.Capture(t.Context(), 10, io.Discard); !errors.Is(err, errCapturing) {
			t.Errorf("a capture meanwhile: %v", err)
		}
		check(t, <-done)
		rows := matrix.Bytes()
		for i := range 50 {
			// The first was the stream's.
			if !bytes.Equal(rows[i*250:][:250], first(i+2, 250)) {
				t.Fatalf("row %d is not the first samples of its start", i)
			}
		}
		if len(rows) != 50*250 {
			t.Errorf("%d samples", len(rows))
		}
		up(t, r)
		r.wantEvents(t, StartupPassed, SourceUp, RestartsBegan, RestartsEnded, StartupPassed, SourceUp)
		if got := r.bytes()[before:]; len(got) == 0 || bytes.Contains(got, rows[2:10]) {
			t.Errorf("%d bytes poured since, of the rows or none", len(got))
		}
		if s := r.Status(); r.forfeits != 0 || s.Startups != 2 || source.opens != 52 {
			t.Errorf("%d forfeits, %d opens, %+v", r.forfeits, source.opens, s)
		}
		if d := r.events[3].Detail; d != "after 50 of 50 restarts" {
			t.Errorf("said %q", d)
		}
	})
}

// TestCaptureRestartsOfAFullSink: a pour that waits does not keep it waiting.
func TestCaptureRestartsOfAFullSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newStarts(), &bucket{full: true}, PumpOptions{})
		defer r.stop()
		up(t, r)
		began := time.Now()
		check(t, r.CaptureRestarts(t.Context(), 10, 100, io.Discard))
		if d := time.Since(began); d > 20*time.Millisecond {
			t.Errorf("took %v", d)
		}
	})
}

// TestCaptureRestartsEnds shows all that ends one, with what was written by then. The
// source is up again afterwards if it can be.
func TestCaptureRestartsEnds(t *testing.T) {
	for name, c := range map[string]struct {
		refuse, times, ends int
		writer              io.Writer
		limit               time.Duration // of the caller
		want                error
		said                string
		within              time.Duration
	}{
		"back after a while":             {refuse: 4, times: 5, within: 4 * time.Second},
		"not back":                       {refuse: 4, times: 30, want: errAway, said: "restart 3 of 9: not back for 1m0s", within: 61 * time.Second},
		"ends early":                     {ends: 150, want: errGone, said: "restart 1 of 9: after 150 of 250 samples", within: time.Second},
		"stuck":                          {ends: -1, want: errStalled, said: "restart 1 of 9: no byte for 1m0s", within: 61 * time.Second},
		"writer fails":                   {writer: broken{}, want: os.ErrPermission, within: time.Second},
		"caller leaves":                  {limit: 10 * time.Millisecond, want: context.DeadlineExceeded, within: 15 * time.Millisecond},
		"caller leaves a stuck one":      {ends: -1, limit: time.Second, want: context.DeadlineExceeded, within: time.Second},
		"caller leaves one that is away": {refuse: 4, times: 30, limit: time.Second, want: context.DeadlineExceeded, within: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source := newStarts()
				r := start(t, source, new(bucket), PumpOptions{})
				defer r.stop()
				up(t, r)
				source.change(c.refuse, c.times, c.ends)
				if c.writer == nil {
					c.writer = io.Discard
				}
				ctx, cancel := context.WithCancel(t.Context())
				if c.limit > 0 {
					ctx, cancel = context.WithTimeout(t.Context(), c.limit)
				}
				defer cancel()
				began := time.Now()
				err := r.CaptureRestarts(ctx, 9, 250, c.writer)
				if d := time.Since(began); d > c.within {
					t.Errorf("took %v, want at most %v", d, c.within)
				}
				if !errors.Is(err, c.want) || c.want == nil && err != nil || err != nil && !strings.Contains(err.Error(), c.said) {
					t.Errorf("%v, want %v", err, c.want)
				}
				pass(5 * time.Second)
				source.mu.Lock()
				opens := source.opens
				source.mu.Unlock()
				if c.limit > 0 && c.ends < 0 && opens < 3 {
					t.Error("the pump waits still for a row that nobody wants")
				}
				source.change(0, 0, 0)
				for limit := time.Now().Add(70 * time.Second); r.Status().State != Up && time.Now().Before(limit); {
					pass(100 * time.Millisecond) // it may be in a stream that gives nothing
				}
				up(t, r)
			})
		})
	}
}

// late is a writer whose first Write takes an hour.
type late struct{ writes int }

func (l *late) Write(p []byte) (int, error) {
	if l.writes++; l.writes == 1 {
		time.Sleep(time.Hour)
	}
	return len(p), nil
}

func TestCaptureRestartsOfASlowWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newStarts(), new(bucket), PumpOptions{})
		defer r.stop()
		up(t, r)
		done := make(chan error, 1)
		go func() { done <- r.CaptureRestarts(t.Context(), 100, 1000, new(late)) }()
		pass(12 * time.Second) // it is given up, and the source goes on
		up(t, r)
		r.stop() // the rest of the hour would be many samples
		if err := <-done; !errors.Is(err, errSlow) {
			t.Errorf("%v", err)
		}
	})
}

// TestCaptureRestartsTakesNoSampleOfTheStream that it is to cut.
func TestCaptureRestartsTakesNoSampleOfTheStream(t *testing.T) {
	p := NewPump(Config{}, sixBits(nil), nowhere{}, PumpOptions{})
	c := newCapture(10)
	c.restarts = 2
	p.capture.Store(c)
	if rest := p.divert(t.Context(), noise(30)); len(rest) != 30 || len(c.chunks) != 0 || c.left != 10 {
		t.Errorf("%d of 30 samples are left to be poured, %d in the matrix", len(rest), len(c.chunks))
	}
}

// TestCaptureRestartsOfOneThatFails in the window in which it is cut: that is told, and
// no restart is made.
func TestCaptureRestartsOfOneThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p *Pump
		var fails atomic.Bool
		next := script(good(1<<20, 1))
		source := sixBits(func(samples []byte) (int, error) {
			time.Sleep(time.Millisecond)
			if !fails.Load() || p.capture.Load() == nil {
				return next(samples)
			}
			clear(samples)
			return len(samples), nil
		})
		r := start(t, source, new(bucket), PumpOptions{})
		defer r.stop()
		p = r.Pump
		up(t, r)
		fails.Store(true)
		var failure *health.Failure
		if err := r.CaptureRestarts(t.Context(), 3, 300, io.Discard); !errors.As(err, &failure) {
			t.Errorf("%v", err)
		}
		if s := r.Status(); s.LastFailure == nil || r.forfeits != 1 {
			t.Errorf("%d forfeits: %+v", r.forfeits, s)
		}
		r.wantEvents(t, StartupPassed, SourceUp, SourceFailed+" "+health.RCT)
	})
}

func TestCaptureRestartsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newStarts()
		source.change(1, 1, 0)
		r := start(t, source, new(bucket), PumpOptions{})
		synctest.Wait()
		if err := r.CaptureRestarts(t.Context(), 10, 10, io.Discard); err == nil || err.Error() != `source "trng0" is missing: only one that is up can be captured` {
			t.Errorf("missing: %v", err)
		}
		pass(time.Second)
		for _, n := range [][2]int{{0, 10}, {10, 0}, {-1, -1}} {
			if err := r.CaptureRestarts(t.Context(), n[0], n[1], io.Discard); err == nil {
				t.Errorf("captured %v", n)
			}
		}
		done := make(chan error, 1)
		go func() { done <- r.CaptureRestarts(t.Context(), 1e6, 1e6, io.Discard) }()
		pass(time.Second)
		r.stop() // hostd ends, or the source is taken out
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the pump ends: %v", err)
		}
		if s := r.Status(); s.State != Ended {
			t.Errorf("%+v", s)
		}
	})
}

// TestCaptureRestartsInARace starts many, whose callers leave at once or soon, beside
// a source that is lost again and again: whatever comes first, the source is up in the
// end, and nobody waits for ever.
func TestCaptureRestartsInARace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newStarts()
		source.change(0, 0, 3000)
		r := start(t, source, new(bucket), PumpOptions{})
		for i := range 200 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%7)*time.Millisecond)
			done := make(chan error, 2)
			go func() { done <- r.CaptureRestarts(ctx, 3, 300, io.Discard) }()
			go func() { done <- r.Capture(ctx, 300, io.Discard) }()
			time.Sleep(time.Duration(i%13) * time.Millisecond)
			pass(time.Second)
			if len(done) != 2 {
				t.Fatal("somebody waits still")
			}
			cancel()
		}
		source.change(0, 0, 0)
		pass(10 * time.Second)
		up(t, r)
		check(t, r.CaptureRestarts(t.Context(), 3, 300, io.Discard))
		r.stop()
		if kinds := r.kinds(); !slices.Contains(kinds, RestartsBegan) {
			t.Errorf("no restart in %q", kinds)
		}
	})
}
