package xen

import (
	"math"
	"time"
)

// How often a guest is attended to that asks for it again and again.
const (
	often     = 8 // changes at once, and in a second from then on, that are taken as they come
	longer    = 10
	paceSlow  = 100 * time.Millisecond // between those beyond that
	paceStorm = time.Second            // between those of a guest that goes on longer times after that
)

// pace says how long a guest has to wait that keeps us busy. The zero value is
// ready.
type pace struct {
	level float64   // changes that have not been paid for by time
	free  time.Time // until when it had to wait after the last one
}

// took says that a change was taken at that moment, and returns how long the next one
// has to wait. The time that a guest is made to wait does not pay for its changes.
func (p *pace) took(now time.Time) time.Duration {
	if quiet := now.Sub(p.free); quiet > 0 && !p.free.IsZero() {
		p.level = math.Max(0, p.level-quiet.Seconds()*often)
	}
	p.level = math.Min(p.level+1, often+longer+1)
	wait := time.Duration(0)
	switch {
	case p.level > often+longer:
		wait = paceStorm
	case p.level > often:
		wait = paceSlow
	}
	p.free = now.Add(wait)
	return wait
}

// calm says whether the guest has been quiet enough to be taken at its word.
func (p *pace) calm() bool { return p.level < often }

// probe lets a guest that stormed show whether it still does: three changes more,
// and it storms.
func (p *pace) probe(now time.Time) { p.level, p.free = often+longer-2, now }
