package quality

import (
	"time"

	"headgate/backends/reservoir"
)

// draw takes what can be had of a seed now, and seeds the DRBG when that is all of it.
// It never blocks: where nothing can be had, the guest's tap on the reservoir notes its
// turn. The caller holds mu.
func (g *generator) draw(now time.Time) bool {
	if g.conf.Quality == Full || !g.tap.spare() {
		return false
	}
	n := g.tap.res.TryRead(g.seed[g.have:])
	g.have += n
	g.stats.SeedBytes += uint64(n)
	if g.have < len(g.seed) {
		return false
	}
	e := Event{Kind: Reseeded, Age: now.Sub(g.stats.SeededAt)}
	if g.drbg == nil {
		g.drbg = reservoir.NewDRBG(&g.seed, &g.personal)
		e.Kind, e.Age = Seeded, 0
	} else {
		g.drbg.Reseed(&g.seed)
	}
	if g.stats.Stale {
		e.Kind = Recovered
	}
	clear(g.seed[:])
	g.drop() // it was made with the state before
	g.have, g.made = 0, 0
	g.stats.Seeds++
	g.stats.SeededAt, g.stats.Stale = now, false
	g.usable.Store(true)
	if e.Seeds = g.stats.Seeds; e.Kind != Reseeded || now.Sub(g.told) >= awhile {
		g.told = now
		g.tap.tell(e)
	}
	return true
}

// seedNow seeds a DRBG that needs it, and is or was in use, before the guest gets what
// its seed could be made of.
func (g *generator) seedNow() {
	g.mu.Lock()
	now := g.tap.opt.Now()
	revived := false
	switch {
	case g.tap.closed.Load():
	case !g.usable.Load():
		revived = g.draw(now)
	case g.made > 0 && g.due(now):
		g.draw(now)
	}
	g.mu.Unlock()
	if revived {
		g.scheduler.Wake() // which takes mu
	}
}

// revive seeds a DRBG that gives nothing, or has the seed waited for.
func (g *generator) revive() {
	if g.usable.Load() {
		return
	}
	g.mu.Lock()
	ready := g.ready(g.tap.opt.Now())
	if !ready {
		g.await()
	}
	g.mu.Unlock()
	if ready {
		g.scheduler.Wake()
	}
}

// await has the seed waited for, so that who waits for the DRBG is served when the
// supply is back. The caller holds mu.
func (g *generator) await() {
	if g.awaiting || g.tap.closed.Load() {
		return
	}
	g.awaiting = true
	g.tasks.Add(1)
	go g.wait()
}

// wait ends when the DRBG is seeded, or is not to be. Where the quality changes, it
// begins anew under the new one.
func (g *generator) wait() {
	defer g.tasks.Done()
	for {
		r := g.tap.regime.Load()
		g.mu.Lock()
		if g.tap.closed.Load() || g.conf.Quality == Full || !g.tap.spare() {
			g.awaiting = false
			g.mu.Unlock()
			return
		}
		missing := len(g.seed) - g.have
		g.mu.Unlock()

		g.tap.res.Await(r.over, missing) // or r or the tap has ended, which is seen above

		g.mu.Lock()
		ready := g.ready(g.tap.opt.Now())
		if ready {
			g.awaiting = false
		}
		g.mu.Unlock()
		if ready {
			g.scheduler.Wake()
			return
		}
	}
}
