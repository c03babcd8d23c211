package quality

import (
	"crypto/sha512"
	"sync"
	"sync/atomic"
	"time"

	"headgate/backends/reservoir"
	"headgate/ratelimit"
)

const (
	// buffered is how much is generated at once for small reads, in bytes.
	buffered = 4096

	// plenty is the level of a supply that does not run dry, in bytes.
	plenty = 1 << 30
)

// generator is a guest's DRBG as the one supply of its own scheduler (ratelimit.Supply),
// with the one tap on that. It draws its seeds through the guest's tap on the reservoir.
type generator struct {
	tap       *Tap
	scheduler *ratelimit.Scheduler
	out       *ratelimit.Tap
	personal  [reservoir.SeedSize]byte
	usable    atomic.Bool    // it is seeded and not stale; written under mu
	tasks     sync.WaitGroup // await

	mu       sync.Mutex
	conf     Config
	drbg     *reservoir.DRBG // nil: not instantiated
	buf      []byte          // buf[at:] is generated and not yet given
	at       int
	made     int // bytes generated since the last seed
	seed     [reservoir.SeedSize]byte
	have     int // bytes of seed that came
	awaiting bool
	told     time.Time // when a reseed was last told
	stats    Seeding
}

func newGenerator(t *Tap, c Config) *generator {
	g := &generator{tap: t, conf: c, personal: personalization(t.opt.Name, t.opt.UUID)}
	g.scheduler = ratelimit.NewScheduler(g, ratelimit.Options{ObserveWait: t.opt.ObserveWait})
	g.out = g.scheduler.NewTap(c.drbgLimits())
	return g
}

// Seeding is how a guest's DRBG came to its seeds.
type Seeding struct {
	SeedBytes uint64    // of the reservoir that went into the DRBG
	Seeds     uint64    // how often it was seeded
	SeededAt  time.Time // the last time; zero: never
	Stale     bool      // it gives nothing until it has another seed
}

// personalization is what tells this guest's DRBG from another's that would, against
// all promises, have the same seed: SHA-384 is as long as a seed.
func personalization(name, uuid string) [reservoir.SeedSize]byte {
	return sha512.Sum384([]byte(name + "\x00" + uuid))
}

// Level says whether there is anything, and no more: a generator does not run dry.
func (g *generator) Level() int {
	if g.usable.Load() {
		return plenty
	}
	return 0
}

// Take fills p, or as much of it as one request may have, if the DRBG may give.
func (g *generator) Take(p []byte, _ int) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.tap.opt.Now()
	if !g.ready(now) {
		g.await()
		return 0
	}
	p = p[:min(len(p), reservoir.MaxGenerate)]
	if err := g.fill(p); err != nil { // 2^48 requests with one seed
		clear(p)
		g.lapse(now)
		g.await()
		return 0
	}
	return len(p)
}

// fill gives what is buffered, or goes past the buffer where p is as long as that.
func (g *generator) fill(p []byte) error {
	if len(p) >= buffered {
		g.made += len(p)
		return g.drbg.Generate(p)
	}
	for len(p) > 0 {
		if g.at == len(g.buf) {
			if g.buf == nil {
				g.buf = make([]byte, buffered)
			}
			if err := g.drbg.Generate(g.buf); err != nil {
				return err
			}
			g.at = 0
			g.made += buffered
		}
		n := copy(p, g.buf[g.at:])
		clear(g.buf[g.at : g.at+n])
		g.at += n
		p = p[n:]
	}
	return nil
}

// ready says whether the DRBG may give, and seeds it if that is due and can be had now.
// One whose reseed is due goes on until max_stale. The caller holds mu.
func (g *generator) ready(now time.Time) bool {
	switch {
	case g.tap.closed.Load():
		return false
	case !g.usable.Load():
		return g.draw(now)
	case !g.due(now) || g.draw(now):
		return true
	case now.Sub(g.stats.SeededAt) < g.conf.MaxStale:
		return true
	}
	g.lapse(now)
	return false
}

func (g *generator) due(now time.Time) bool {
	return g.made >= g.conf.ReseedBytes || now.Sub(g.stats.SeededAt) >= g.conf.ReseedInterval
}

// drop zeroes what is buffered.
func (g *generator) drop() {
	clear(g.buf)
	g.at = len(g.buf)
}

// lapse notes that the DRBG is too old.
func (g *generator) lapse(now time.Time) {
	g.usable.Store(false)
	g.stats.Stale = true
	g.drop()
	g.tap.tell(Event{Kind: Stale, Seeds: g.stats.Seeds, Age: now.Sub(g.stats.SeededAt)})
}

// seeds is how often it was seeded.
func (g *generator) seeds() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stats.Seeds
}

// set changes what is asked of it. A guest that is to get the reservoir's bytes alone
// has no use for its state.
func (g *generator) set(c Config) {
	g.out.SetLimits(c.drbgLimits())
	g.mu.Lock()
	defer g.mu.Unlock()
	g.conf = c
	if c.Quality == Full {
		g.wipe()
	}
}

// wipe ends the DRBG and leaves nothing of it.
func (g *generator) wipe() {
	g.usable.Store(false)
	if g.drbg != nil {
		g.drbg.Wipe()
		g.drbg = nil
	}
	g.drop()
	clear(g.seed[:])
	g.have, g.made, g.stats.Stale = 0, 0, false
}

// close ends it for good, when its tap is marked as closed.
func (g *generator) close() {
	_ = g.out.Close() // only ever closed here
	g.mu.Lock()
	g.usable.Store(false)
	g.mu.Unlock() // who was at work is through, and await starts no more
	g.tasks.Wait()
	g.mu.Lock()
	g.wipe()
	g.mu.Unlock()
}
