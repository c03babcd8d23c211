package quality

import (
	"os"
	"sync"
	"sync/atomic"
	"time"

	"headgate/ratelimit"
)

// Options of a Tap.
type Options struct {
	Name, UUID  string               // of the guest: they personalize its DRBG
	Scheduler   *ratelimit.Scheduler // of the reservoir, which all guests share
	Now         func() time.Time     // nil: time.Now
	ObserveWait func(time.Duration)  // told the waits that Scheduler is not told; nil: nobody is
	Event       func(Event)          // must not block and not call the Tap; nil: nobody is told
}

// Tap is one guest's outlet (pipe.Tap, wire.Graded). It has two taps: one on the
// reservoir, whose bytes the guest gets or its DRBG is seeded with, so that all of it
// is in the guest's one share; and one on the DRBG, which has no other user.
type Tap struct {
	opt  Options
	res  *ratelimit.Tap
	drbg atomic.Pointer[generator] // nil until there is use for it: most guests have none

	regime  atomic.Pointer[regime]
	setting sync.Mutex // Set, Fresh and Close are one at a time
	closed  atomic.Bool

	begin beginning
	level level
}

// regime is a Config for as long as it holds.
type regime struct {
	Config
	over chan struct{} // closed when another one holds, by who put that in its place
}

// New returns the outlet of one guest. It draws nothing until somebody reads.
func New(o Options, c Config) *Tap {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.ObserveWait == nil {
		o.ObserveWait = func(time.Duration) {}
	}
	if o.Event == nil {
		o.Event = func(Event) {}
	}
	c = c.filled()
	t := &Tap{opt: o, res: o.Scheduler.NewTap(c.reservoirLimits())}
	t.equip(c)
	t.regime.Store(newRegime(c))
	return t
}

// equip has the DRBG work as c says; its generator is there before any regime that
// has use for it.
func (t *Tap) equip(c Config) {
	if g := t.drbg.Load(); g != nil {
		g.set(c)
	} else if c.Quality != Full {
		t.drbg.Store(newGenerator(t, c))
	}
}

// gen is the guest's generator, in a quality that has use for one.
func (t *Tap) gen() *generator { return t.drbg.Load() }

func newRegime(c Config) *regime { return &regime{c, make(chan struct{})} }

// renew has who waits in quality FullThenDRBG look again what there is.
func (t *Tap) renew() {
	was := t.regime.Load()
	if was.Quality == FullThenDRBG && t.regime.CompareAndSwap(was, newRegime(was.Config)) {
		close(was.over)
	}
}

// Set changes the quality and the limits. Who waits goes on waiting, for what the new
// quality gives.
func (t *Tap) Set(c Config) {
	t.setting.Lock()
	defer t.setting.Unlock()
	if t.closed.Load() {
		return
	}
	c = c.filled()
	t.res.SetLimits(c.reservoirLimits())
	t.equip(c)
	close(t.regime.Swap(newRegime(c)).over)
}

// Fresh says that the guest has had nothing yet: its next 64 bytes go ahead of all
// others', in the quality "drbg" ahead of its own rate, and ahead of all others' the
// seed without which its DRBG could give none. Later seeds wait for their turn.
func (t *Tap) Fresh() {
	t.setting.Lock()
	defer t.setting.Unlock()
	if t.closed.Load() {
		return
	}
	t.begin.fresh(t.opt.Now())
	switch t.regime.Load().Quality {
	case DRBG:
		if !t.gen().usable.Load() {
			t.res.Fresh()
		}
		t.gen().out.Fresh()
	case FullThenDRBG:
		t.res.Fresh()
		t.renew() // the seed that is waited for can wait longer
	default:
		t.res.Fresh()
	}
}

// spare says whether bytes of the reservoir may go into a seed now: the first ones are
// the guest's, if it is to get any.
func (t *Tap) spare() bool {
	return t.begin.over() || t.regime.Load().Quality == DRBG
}

// Close ends the tap: readers return os.ErrClosed, now and later. Nothing of the DRBG
// stays in memory.
func (t *Tap) Close() error {
	t.setting.Lock()
	defer t.setting.Unlock()
	if t.closed.Swap(true) {
		return os.ErrClosed
	}
	_ = t.res.Close() // only ever closed here
	if g := t.drbg.Load(); g != nil {
		g.close()
	}
	return nil
}

func (t *Tap) tell(e Event) { t.opt.Event(e) }
