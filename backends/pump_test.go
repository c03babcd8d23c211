package backends

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
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

// bucket is a Sink that remembers what was poured. While it is full, Pour waits.
type bucket struct {
	mu       sync.Mutex
	poured   []byte
	origin   string
	credited bool
	forfeits int
	full     bool
}

func (b *bucket) Pour(ctx context.Context, samples []byte, _ float64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.full {
		b.mu.Unlock()
		<-ctx.Done()
		b.mu.Lock()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	b.poured = append(b.poured, samples...)
	return nil
}

func (b *bucket) Forfeit() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forfeits++
}

func (b *bucket) Begin(origin string, credited bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.origin, b.credited = origin, credited
}

func (b *bucket) bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.poured)
}

// rig is a pump at work. Its events are collected.
type rig struct {
	*Pump
	*bucket
	mu     sync.Mutex
	events []Event
	stop   func()
}

// start runs a pump of source into b until stop is called or the test ends.
func start(t testing.TB, source Source, b *bucket, o PumpOptions) *rig {
	r := &rig{bucket: b}
	o.Event = func(e Event) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.events = append(r.events, e)
	}
	r.Pump = NewPump(Config{Name: "trng0", Type: "fake"}, source, b, o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return r
}

// kinds returns the kinds of the events so far, with the tests of the failures.
func (r *rig) kinds() (kinds []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		kinds = append(kinds, strings.TrimSuffix(e.Kind+" "+e.Test, " "))
	}
	return kinds
}

func (r *rig) wantEvents(t *testing.T, want ...string) {
	t.Helper()
	if got := r.kinds(); !slices.Equal(got, want) {
		t.Errorf("events\n got %q\nwant %q", got, want)
	}
}

// good returns n samples that pass every test at a claim of 6 bits.
func good(n int, seed byte) []byte {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(p)
	return p
}

// run is the length of the run of equal samples at the end of p.
func run(p []byte) int {
	n := 1
	for n < len(p) && p[len(p)-1-n] == p[len(p)-1] {
		n++
	}
	return n
}

// script is a Fill that gives these samples, in small pieces, and then waits.
func script(samples []byte) func(p []byte) (int, error) {
	return func(p []byte) (int, error) {
		n := copy(p[:min(len(p), 100)], samples)
		samples = samples[n:]
		return n, nil
	}
}

// streams is a source of which each Open gives the next of these, as script does.
func streams(each ...[]byte) *Fake {
	f := sixBits(nil)
	f.Refuse = func() error {
		f.Fill = nil
		if len(each) > 0 {
			f.Fill, each = script(each[0]), each[1:]
		}
		return nil
	}
	return f
}

func sixBits(fill func(p []byte) (int, error)) *Fake {
	return &Fake{Info: Info{MinEntropy: 6}, Fill: fill}
}

// pass lets time go by in a bubble, and what is due by then come to rest.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

const (
	startup = health.StartupSamples
	window  = health.Window
)

// TestPumpHoldsBackTheOpenRun has runs over the edge of two windows. The first
// ends well and is poured with the next window; the second goes on until it fails,
// and no byte of it is poured, though its beginning was in a window that passed.
func TestPumpHoldsBackTheOpenRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		samples := good(startup+3*window, 1)
		edge := startup + window
		copy(samples[edge-5:], []byte("\x01aaaaaa\x02")) // 4 before the edge and 2 after
		edge += window
		copy(samples[edge-5:], []byte("\x01bbbbbbbb")) // 8 is the cutoff
		r := start(t, streams(samples), new(bucket), PumpOptions{})
		defer r.stop()
		synctest.Wait()
		r.wantEvents(t, StartupPassed, SourceUp, SourceFailed+" rct")
		if got, want := r.bytes(), samples[startup:edge-4]; !bytes.Equal(got, want) {
			t.Errorf("poured %d bytes, want the %d before the run", len(got), len(want))
		}
		s := r.Status()
		if r.forfeits != 1 || s.State != Failed || s.Failures[health.RCT] != 1 || s.LastFailure.Test != health.RCT {
			t.Errorf("%d forfeits, status %+v", r.forfeits, s)
		}
		if s.EntropyBits != uint64(6*len(r.bytes())) || s.RawBytes != startup+2*window+100 {
			t.Errorf("credited %d bits, read %d bytes", s.EntropyBits, s.RawBytes)
		}
	})
}

func TestPumpDropsTheFailingWindow(t *testing.T) {
	for name, spoil := range map[string]func(p []byte){
		"rct": func(p []byte) { clear(p[500:]) },
		"apt": func(p []byte) {
			for i := 0; i < len(p); i += 2 {
				p[i] = p[0]
			}
		},
		"mcv": func(p []byte) {
			for i := 1; i < len(p); i += 2 {
				p[i] = ^p[0]
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				samples := good(startup+4*window, 2)
				bad := startup + 2*window
				spoil(samples[bad : bad+window])
				again := good(startup+window, 3)
				r := start(t, streams(samples, again), new(bucket), PumpOptions{})
				defer r.stop()
				synctest.Wait()
				want := samples[startup : bad-run(samples[:bad])]
				if !bytes.Equal(r.bytes(), want) {
					t.Errorf("poured %d bytes, want %d", len(r.bytes()), len(want))
				}
				pass(time.Second) // it is back after a new start-up test
				r.wantEvents(t, StartupPassed, SourceUp, SourceFailed+" "+name, StartupPassed, SourceUp)
				want = slices.Concat(want, again[startup:len(again)-run(again)])
				if !bytes.Equal(r.bytes(), want) {
					t.Errorf("poured %d bytes after the return, want %d", len(r.bytes()), len(want))
				}
				if s := r.Status(); s.State != Up || s.Startups != 2 || s.Failures[name] != 1 {
					t.Errorf("status %+v", s)
				}
			})
		})
	}
}

// TestPumpTestsWhatComesSlowly has sources that give 10 bytes a second. A window of
// theirs takes most of a minute, and a failure is not to wait for its end.
func TestPumpTestsWhatComesSlowly(t *testing.T) {
	const fine = startup + 2*window + 100
	for name, c := range map[string]struct {
		zeros int
		end   error
		raw   uint64
	}{
		"turns to zeros":      {zeros: 5000, raw: fine + 10},
		"8 zeros and silence": {zeros: 8, raw: fine + 8},
		"8 zeros and the end": {zeros: 8, end: io.EOF, raw: fine + 8},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				samples := good(fine+c.zeros, 10)
				samples[fine-1] = 1
				clear(samples[fine:])
				rest := samples
				source := sixBits(func(p []byte) (int, error) {
					time.Sleep(time.Second)
					n := copy(p[:min(len(p), 10)], rest)
					if rest = rest[n:]; len(rest) == 0 {
						return n, c.end
					}
					return n, nil
				})
				// Again it does not come up.
				source.Refuse = func() error {
					if len(rest) < len(samples) {
						return errors.New("no such device")
					}
					return nil
				}
				r := start(t, source, new(bucket), PumpOptions{})
				defer r.stop()
				pass((4*52 + 10 + 2) * time.Second) // each window is 52 reads
				if kinds := r.kinds(); len(kinds) < 3 || kinds[2] != SourceFailed+" rct" {
					t.Errorf("events %q, want a failure", kinds)
				}
				whole := samples[startup : startup+2*window]
				if got, want := r.bytes(), whole[:len(whole)-run(whole)]; !bytes.Equal(got, want) {
					t.Errorf("poured %d bytes, want the %d of the finished windows", len(got), len(want))
				}
				if s := r.Status(); r.forfeits != 1 || s.RawBytes != c.raw || s.Failures[health.RCT] != 1 {
					t.Errorf("%d forfeits, read %d bytes, want %d, status %+v", r.forfeits, s.RawBytes, c.raw, s)
				}
			})
		})
	}
}

func TestPumpStartupFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		samples := good(startup, 4)
		clear(samples[startup-8:]) // at the very end
		r := start(t, streams(samples, good(startup, 5)), new(bucket), PumpOptions{})
		defer r.stop()
		pass(time.Second)
		r.wantEvents(t, StartupFailed+" rct", StartupPassed, SourceUp)
		if len(r.bytes()) != 0 || r.forfeits != 1 {
			t.Errorf("poured %d bytes, %d forfeits", len(r.bytes()), r.forfeits)
		}
	})
}

func TestPumpMissingSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var opens []time.Duration
		began := time.Now()
		var there atomic.Bool
		source := sixBits(script(good(startup, 6)))
		source.Refuse = func() error {
			if there.Load() {
				return nil
			}
			opens = append(opens, time.Since(began))
			return errors.New("no such device")
		}
		r := start(t, source, new(bucket), PumpOptions{})
		defer r.stop()
		pass(20 * time.Second)
		const ms = time.Millisecond
		want := []time.Duration{0, 100 * ms, 300 * ms, 700 * ms, 1500 * ms, 3100 * ms, 6300 * ms, 11300 * ms, 16300 * ms}
		if !slices.Equal(opens, want) {
			t.Errorf("opened at %v, want %v", opens, want)
		}
		r.wantEvents(t, SourceMissing)
		if s := r.Status(); s.State != Missing || s.Error != "no such device" {
			t.Errorf("status %+v", s)
		}
		there.Store(true)
		pass(5 * time.Second)
		r.wantEvents(t, SourceMissing, StartupPassed, SourceUp)
	})
}

// TestPumpEnds has Run return in each state that it can be in: the last one is Ended.
func TestPumpEnds(t *testing.T) {
	zeros := func(p []byte) (int, error) {
		clear(p)
		return len(p), nil
	}
	for name, c := range map[string]struct {
		source *Fake
		during string
	}{
		"in the start-up test":       {sixBits(nil), Starting},
		"up":                         {sixBits(script(good(startup, 13))), Up},
		"in the pause of a lost one": {&Fake{Refuse: func() error { return os.ErrNotExist }}, Missing},
		"in the pause of a failed":   {sixBits(zeros), Failed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, c.source, new(bucket), PumpOptions{})
				synctest.Wait()
				if s := r.Status(); s.State != c.during {
					t.Errorf("before: %+v", s)
				}
				r.stop()
				if s := r.Status(); s.State != Ended || s.Error != "" {
					t.Errorf("after: %+v", s)
				}
			})
		})
	}
}

func TestPumpStuckSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, sixBits(script(good(startup+100, 7))), new(bucket), PumpOptions{})
		defer r.stop()
		pass(59 * time.Second)
		r.wantEvents(t, StartupPassed, SourceUp)
		pass(2 * time.Second)
		r.wantEvents(t, StartupPassed, SourceUp, SourceLost)
		pass(time.Hour) // told once
		r.wantEvents(t, StartupPassed, SourceUp, SourceLost)
		if s := r.Status(); len(r.bytes()) != 0 || r.forfeits != 0 || s.RawBytes != startup+100 {
			t.Errorf("poured %d bytes, %d forfeits, status %+v", len(r.bytes()), r.forfeits, s)
		}
	})
}

// TestPumpFullSink has nobody drink for an hour: the tests go on, and find it when
// the source breaks.
func TestPumpFullSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		samples := good(startup+21*window, 8)
		clear(samples[startup+20*window:])
		r := start(t, streams(samples), &bucket{full: true}, PumpOptions{})
		defer r.stop()
		pass(199 * time.Second) // 10 s a window
		if s := r.Status(); s.State != Up || s.RawBytes != startup+20*window || s.EntropyBits != 0 {
			t.Errorf("status %+v", s)
		}
		pass(2 * time.Second)
		r.wantEvents(t, StartupPassed, SourceUp, SourceFailed+" rct")
		if len(r.bytes()) != 0 {
			t.Errorf("poured %d bytes", len(r.bytes()))
		}
	})
}

func TestPumpCreditAndOriginChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &Fake{Info: Info{MinEntropy: 6, Origin: "old"}}
		var lost atomic.Bool
		source.Fill = func(p []byte) (int, error) {
			if lost.Swap(false) {
				source.Info = Info{MinEntropy: 2, Origin: "new", Assumed: true}
				return 0, io.EOF
			}
			time.Sleep(time.Millisecond)
			return copy(p, noise(len(p))), nil
		}
		r := start(t, source, new(bucket), PumpOptions{})
		defer r.stop()
		pass(time.Second)
		if r.origin != "old" {
			t.Errorf("origin %q", r.origin)
		}
		lost.Store(true)
		pass(time.Second)
		r.wantEvents(t, StartupPassed, SourceUp, SourceLost, CreditChanged, StartupPassed, SourceUp)
		if s := r.Status(); r.origin != "new" || s.MinEntropy != 2 || !s.Assumed {
			t.Errorf("origin %q, status %+v", r.origin, s)
		}
		if got, want := r.events[3].Detail, "from 6 bits per byte to 2 bits per byte"; got != want {
			t.Errorf("detail %q, want %q", got, want)
		}
	})
}

// TestPumpUncredited has a source be tested and poured all the same; only then it is
// credited, and that is told.
func TestPumpUncredited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		samples := good(startup+4*window, 11)
		clear(samples[startup+3*window:])
		source := streams(samples, good(startup+2*window, 12))
		source.Uncredited = true
		refuse := source.Refuse
		source.Refuse = func() error {
			source.Uncredited = source.Fill == nil
			return refuse()
		}
		r := start(t, source, new(bucket), PumpOptions{RetryMin: time.Second})
		defer r.stop()
		synctest.Wait()
		r.wantEvents(t, StartupPassed, SourceUp, SourceFailed+" rct")
		if n := len(r.bytes()); n < 2*window || r.forfeits != 1 || r.credited {
			t.Errorf("poured %d bytes, %d forfeits, credited %v", n, r.forfeits, r.credited)
		}
		if s := r.Status(); s.EntropyBits != 0 || s.Credited || s.LastError == nil || s.LastError.Text != s.Error {
			t.Errorf("status %+v", s)
		}
		pass(2 * time.Second)
		r.wantEvents(t, StartupPassed, SourceUp, SourceFailed+" rct", CreditChanged, StartupPassed, SourceUp)
		if got, want := r.events[3].Detail, "from 6 bits per byte (not credited) to 6 bits per byte"; got != want {
			t.Errorf("detail %q, want %q", got, want)
		}
		if s := r.Status(); s.EntropyBits == 0 || !s.Credited || !r.credited || s.Error != "" || s.LastError == nil {
			t.Errorf("status %+v, last error %+v", s, s.LastError)
		}
	})
}

type nowhere struct{}

func (nowhere) Pour(context.Context, []byte, float64) error { return nil }
func (nowhere) Begin(string, bool)                          {}
func (nowhere) Forfeit()                                    {}

func TestWindowDoesNotAllocate(t *testing.T) {
	samples := good(64*window, 9)
	source := sixBits(func(p []byte) (int, error) {
		return copy(p, samples[rand.IntN(len(samples)-len(p)):]), nil
	})
	p := NewPump(Config{}, source, nowhere{}, PumpOptions{})
	samplesOf, info, err := source.Open()
	check(t, err)
	s, err := p.begin(samplesOf, info)
	check(t, err)
	defer s.end()
	p.leash.Store(newLeash(t.Context(), time.Minute))
	if n := testing.AllocsPerRun(100, func() {
		if err := s.window(t.Context()); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations in a window", n)
	}
	p.leash.Load().cancel()
}
