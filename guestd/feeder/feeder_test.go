//go:build linux

package feeder

import (
	"cmp"
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"headgate/guestd/pipe"
	"headgate/guestd/sign"
	"headgate/guestd/status"
	"headgate/wire/feed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakePipe is a pipe whose host is the test.
type fakePipe struct {
	kind    pipe.Kind
	answers bool // to what is asked
	claim   int  // bits a byte of the answers, 8 if 0
	away    atomic.Bool
	soon    atomic.Bool // it was opened just now
	batches chan feed.Batch
	broken  chan error
	once    sync.Once

	mu      sync.Mutex
	asked   int
	renewed int // what it had been asked when it was renewed last, and 1
	deaf    int // reports that cannot be sent
	reports []feed.Report
}

func newFake(k pipe.Kind, answers bool) *fakePipe {
	return &fakePipe{kind: k, answers: answers, batches: make(chan feed.Batch, 100), broken: make(chan error, 1)}
}

func (p *fakePipe) Ask(n int) error {
	switch {
	case p.soon.Load():
		return pipe.ErrSoon
	case p.away.Load():
		return pipe.ErrAway
	}
	p.mu.Lock()
	p.asked++
	p.mu.Unlock()
	if p.answers {
		b := fresh(random(n))
		b.Bits = cmp.Or(p.claim, 8) * n
		p.batches <- b
	}
	return nil
}

// requests returns how often it was asked.
func (p *fakePipe) requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

func (p *fakePipe) Receive() (feed.Batch, error) {
	select {
	case b := <-p.batches:
		return b, nil
	case err := <-p.broken:
		return feed.Batch{}, err
	}
}

func (p *fakePipe) Report(r *feed.Report) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.deaf > 0 {
		p.deaf--
		return pipe.ErrAway
	}
	p.reports = append(p.reports, *r)
	return nil
}

func (p *fakePipe) Renew() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.renewed = p.asked + 1
}

func (p *fakePipe) Wipe()           {}
func (p *fakePipe) Kind() pipe.Kind { return p.kind }
func (p *fakePipe) Path() string    { return "/dev/" + string(p.kind) }
func (p *fakePipe) Close() error {
	p.once.Do(func() { p.broken <- os.ErrClosed })
	return nil
}

// bench is a Feeder with everything around it faked.
type bench struct {
	Feeder
	pool  fakePool
	signs chan sign.Sign
	state atomic.Pointer[status.Record]
	lines []string
	fresh []string // reasons of the reseeds with fresh bytes
}

func newBench(pipes ...*fakePipe) *bench {
	b := &bench{signs: make(chan sign.Sign)}
	b.Feeder = Feeder{
		Signs: b.signs, Covers: func() []string { return []string{"a sign"} },
		Fresh: func(reason string, _ time.Time) { b.fresh = append(b.fresh, reason) },
		Pool:  &b.pool, Cycles: func() uint64 { return 1 }, Interval: time.Minute, Bytes: 64, Version: "v1",
		Uptime:  func() int { return 99 },
		Changed: func(r status.Record) { b.state.Store(&r) },
		Log:     func(s string) { b.lines = append(b.lines, s) },
		Warn:    func(s string) { b.lines = append(b.lines, "warning: "+s) },
		Open: func(k pipe.Kind) (pipe.Pipe, error) {
			for _, p := range pipes {
				if p.kind == k {
					p.once = sync.Once{}
					return p, nil
				}
			}
			return nil, pipe.ErrNone
		},
	}
	return b
}

// during runs the feeder in a bubble of fake time, with f beside it.
func (b *bench) during(t *testing.T, f func()) {
	t.Helper()
	stop, done := make(chan struct{}), make(chan error)
	go func() { done <- b.Run(stop) }()
	synctest.Wait()
	f()
	synctest.Wait()
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestFeedsAtStartAndAtTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newFake(pipe.PortKind, true)
		b := newBench(p)
		b.during(t, func() {
			if b.state.Load().Reseeds != 1 || b.state.Load().Bits != 512 || b.state.Load().Reason != "start" || b.state.Load().Uptime != 99 {
				t.Errorf("at the start: %+v", *b.state.Load())
			}
			time.Sleep(3*time.Minute + time.Second)
		})
		if b.state.Load().Reseeds != 4 || b.state.Load().Reason != "interval" || b.state.Load().Pipe != "/dev/port" || b.state.Load().Health != "passed" {
			t.Errorf("after three intervals: %+v", *b.state.Load())
		}
		if n := len(p.reports); n != 4 || p.reports[3].Credited != 4*512 || p.reports[0].Version != "v1" {
			t.Errorf("%d reports: %+v", n, p.reports)
		}
		if len(b.lines) != 1 {
			t.Errorf("logged %q", b.lines)
		}
	})
}

func TestPushIsActedOnAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newFake(pipe.PortKind, true)
		b := newBench(p)
		b.during(t, func() {
			push := fresh(random(64))
			push.Pushed, push.Epoch = true, feed.Epoch{9}
			p.batches <- push
		})
		if b.state.Load().Reseeds != 2 || b.state.Load().Reason != "push" || p.reports[1].Reason != "push" {
			t.Errorf("%+v, reports %+v", *b.state.Load(), p.reports)
		}
	})
}

func TestNextPipeIsAskedWhenTheBestIsSilent(t *testing.T) {
	for name, away := range map[string]bool{"away": true, "silent": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				port, rng := newFake(pipe.PortKind, false), newFake(pipe.HWRNGKind, true)
				port.away.Store(away)
				b := newBench(port, rng)
				b.during(t, func() { time.Sleep(grace) })
				if b.state.Load().Reseeds != 1 || b.state.Load().Pipe != "/dev/hwrng" || away != (b.state.Load().Error != "") {
					t.Errorf("%+v", *b.state.Load())
				}
			})
		})
	}
}

// While a host is away or silent nothing is done until the interval: the guest sleeps,
// and says what it waits for.
func TestNothingIsDoneForASilentHost(t *testing.T) {
	for name, away := range map[string]bool{"away": true, "silent": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newFake(pipe.PortKind, false)
				p.away.Store(away)
				b := newBench(p)
				b.during(t, func() {
					time.Sleep(2 * grace)
					synctest.Wait()
					r := b.state.Swap(nil)
					if r == nil || r.Clones != "push on the port; a sign" || away != (r.Error != "") {
						t.Errorf("%+v", r)
					}
					covers := 0
					b.Covers = func() []string { covers++; return nil }
					time.Sleep(time.Minute - 3*grace)
					synctest.Wait()
					if covers > 0 {
						t.Errorf("the record was written %d times", covers)
					}
				})
			})
		})
	}
}

// A ring's host has had no time to come when the ring was offered just now: the next
// pipe is asked at once, and nothing is said of it unless the host does not come.
func TestHostOfANewRingHasTime(t *testing.T) {
	for name, comes := range map[string]bool{"comes": true, "does not": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ring, rng := newFake(pipe.VchanKind, false), newFake(pipe.HWRNGKind, true)
				ring.soon.Store(true)
				ring.away.Store(true)
				b := newBench(ring, rng)
				b.during(t, func() {
					if r := b.state.Load(); r.Reseeds != 1 || r.Pipe != "/dev/hwrng" || r.Error != "" {
						t.Errorf("at once: %+v", *r)
					}
					ring.soon.Store(false)
					if comes {
						push := fresh(random(64))
						push.Pushed = true
						ring.batches <- push
					}
					time.Sleep(grace)
				})
				r := b.state.Load()
				if comes && (r.Reseeds != 2 || r.Reason != "push" || r.Pipe != "/dev/vchan") || comes != (r.Error == "") {
					t.Errorf("after a second: %+v", *r)
				}
				if ring.requests() != 0 || rng.requests() != 1 {
					t.Errorf("asked %d and %d times", ring.requests(), rng.requests())
				}
			})
		})
	}
}

func TestFailureIsReportedToTheHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newFake(pipe.PortKind, false)
		b := newBench(p)
		b.during(t, func() { p.batches <- fresh(make([]byte, 64)) })
		if b.pool.bits != 0 || b.state.Load().Failures != 1 || !strings.Contains(b.state.Load().Health, "rct") {
			t.Errorf("%+v", *b.state.Load())
		}
		if len(p.reports) != 1 || p.reports[0].Reason != feed.ReasonHealth {
			t.Errorf("reports %+v", p.reports)
		}
		if len(b.lines) != 1 || !strings.HasPrefix(b.lines[0], "warning: /dev/port: ") {
			t.Errorf("logged %q", b.lines)
		}
	})
}

func TestBrokenPipeIsOpenedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newFake(pipe.HWRNGKind, true)
		b := newBench(p)
		b.during(t, func() {
			p.broken <- errors.New("no such device")
			synctest.Wait()
			if err := <-p.broken; !errors.Is(err, os.ErrClosed) { // the device is well again
				t.Error(err)
			}
			time.Sleep(time.Second)
		})
		if b.state.Load().Reseeds != 2 || b.state.Load().Error != "" || len(b.lines) != 2 {
			t.Errorf("%+v\n%q", *b.state.Load(), b.lines)
		}
	})
}

// A host that cannot be told at once is told a little later, and not for ever.
func TestToldLater(t *testing.T) {
	for deaf, want := range map[int]int{0: 1, 1: 1, tellTries - 1: 1, tellTries: 0} {
		synctest.Test(t, func(t *testing.T) {
			p := newFake(pipe.PortKind, true)
			p.deaf = deaf
			newBench(p).during(t, func() { time.Sleep(10 * time.Second) })
			if len(p.reports) != want || want == 1 && p.reports[0].Reason != feed.ReasonStart {
				t.Errorf("deaf %d times: %d reports: %+v", deaf, len(p.reports), p.reports)
			}
		})
	}
}
