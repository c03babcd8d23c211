package ratelimit

import (
	"sync"
	"sync/atomic"
	"time"
)

// Supply is where granted bytes come from. Its methods never block, and many
// goroutines may call them at once.
type Supply interface {
	// Take moves up to len(p) bytes into p, leaving at least keep behind, and
	// returns how many. It never gives a byte twice.
	Take(p []byte, keep int) int
	// Level is the number of bytes there now.
	Level() int
}

// Options of a Scheduler.
type Options struct {
	BootReserve int // bytes of the supply kept for guests that have had nothing yet
	Plenty      int // level in bytes, above BootReserve, at which a shortage has ended
	// Now is a monotonic clock. Nil: the time since the scheduler was made.
	Now func() time.Duration
	// ObserveWait is told how long each request that was not granted at once
	// has waited, for a histogram. Nil: nobody is told.
	ObserveWait func(time.Duration)
}

// Scheduler shares one supply among taps.
type Scheduler struct {
	supply Supply
	opt    Options

	// short is set while the supply is short: then every grant goes through
	// the order. It is written under mu.
	short atomic.Bool
	mu    sync.Mutex
	order order
	timer *time.Timer   // calls Wake when an absent flow is waited for no longer
	wakes time.Duration // when it does
}

// NewScheduler returns a scheduler over supply, which must call Wake whenever
// its level has risen.
func NewScheduler(supply Supply, opt Options) *Scheduler {
	if opt.Now == nil {
		start := time.Now()
		opt.Now = func() time.Duration { return time.Since(start) }
	}
	if opt.ObserveWait == nil {
		opt.ObserveWait = func(time.Duration) {}
	}
	s := &Scheduler{supply: supply, opt: opt}
	s.timer = time.AfterFunc(grace, s.Wake) // not zero, or it would be called now
	s.timer.Stop()
	return s
}

// Wake gives what has come in to those who wait. In plenty it costs one load.
func (s *Scheduler) Wake() {
	if !s.short.Load() {
		return
	}
	s.mu.Lock()
	s.dispatch()
	s.mu.Unlock()
}

// Waiting is the number of taps that wait for supply.
func (s *Scheduler) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.order.waiting)
}

func (s *Scheduler) newFlow(weight int) *flow {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.order.newFlow(weight)
	f.ok = make(chan struct{}, 1)
	return f
}

// grant takes up to len(p) bytes for f at once, if nobody has a better claim. More
// says, where the supply is short, that f may ask again within grace.
func (s *Scheduler) grant(f *flow, p []byte, first, more bool) int {
	keep := s.keep(first)
	enough := min(len(p), Quantum)
	if !s.short.Load() {
		if s.supply.Level()-keep >= enough {
			if n := s.supply.Take(p, keep); n > 0 {
				return n
			}
		}
	}
	p = p[:enough]
	s.mu.Lock()
	defer s.mu.Unlock()
	if head := s.order.next(); head != nil && (!first || head.first) {
		return 0
	}
	if s.supply.Level()-keep < enough {
		return 0
	}
	if !s.short.Load() {
		return s.supply.Take(p, keep)
	}
	s.order.arrive(f)
	s.order.settle(f, first)
	if !first && s.awaited(f) > 0 {
		return 0
	}
	n := s.supply.Take(p, keep)
	s.order.charge(f, n, first)
	f.more = more
	s.served(f)
	s.dispatch() // the shortage may be over
	return n
}

// served expects f back, if it may come.
func (s *Scheduler) served(f *flow) {
	if f.more {
		s.order.depart(f, s.opt.Now())
	}
}

// awaited is for how long f, whose turn it would be, has to let one that is absent
// go first; 0: it has not. There is an end to what is held back for that.
func (s *Scheduler) awaited(f *flow) time.Duration {
	if s.supply.Level()-s.opt.BootReserve >= min(heldBack, s.opt.Plenty) {
		return 0
	}
	now := s.opt.Now()
	return s.order.awaited(f.finish, now) - now
}

// wait puts f into the order, and returns when f.ok will be told. More says that f
// may ask again within grace after that.
func (s *Scheduler) wait(f *flow, p []byte, first, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.short.Load() {
		s.short.Store(true)
		s.order.begin()
	}
	f.buf, f.got, f.more = p, 0, more
	s.order.join(f, len(p), first)
	// After the join, not before: a supply that rose meanwhile has seen
	// either short, and waits for the lock, or is seen here.
	s.dispatch()
}

// leave takes f out of the order, if it waits, for good.
func (s *Scheduler) leave(f *flow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.order.arrive(f)
	if f.index >= 0 {
		s.order.leave(f)
	}
	s.dispatch() // the next may want less
}

// advance lets a fresh flow that waits already go first, if it owes nothing,
// and says whether it owes nothing.
func (s *Scheduler) advance(f *flow) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.order.indebted(f) {
		return false
	}
	if f.index >= 0 && !f.first {
		s.order.leave(f)
		s.order.join(f, f.n, true)
		s.dispatch()
	}
	return true
}

func (s *Scheduler) setWeight(f *flow, weight int) {
	s.mu.Lock()
	f.weight = int64(weight)
	s.mu.Unlock()
}

func (s *Scheduler) keep(first bool) int {
	if first {
		return 0
	}
	return s.opt.BootReserve
}

// dispatch serves whoever is next while there is enough for them. The caller
// holds mu.
func (s *Scheduler) dispatch() {
	for {
		f := s.order.next()
		if f == nil {
			if s.supply.Level() >= s.opt.BootReserve+s.opt.Plenty {
				s.short.Store(false)
			}
			return
		}
		keep := s.keep(f.first)
		if s.supply.Level()-keep < f.n {
			return
		}
		if !f.first {
			if d := s.awaited(f); d > 0 {
				s.wakeIn(d)
				return
			}
		}
		n := s.supply.Take(f.buf, keep)
		if n == 0 {
			return
		}
		s.order.serve(f, n)
		s.served(f)
		f.buf, f.got = nil, n
		f.ok <- struct{}{}
	}
}

// wakeIn has Wake called after d, unless it is to be called before that.
func (s *Scheduler) wakeIn(d time.Duration) {
	now := s.opt.Now()
	if s.wakes > now && s.wakes <= now+d {
		return
	}
	s.wakes = now + d
	s.timer.Reset(d)
}
