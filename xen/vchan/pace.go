package vchan

import "time"

// pace is how long a peer is not listened to after events of it that brought
// nothing. A few are usual: what they told of had been seen before they came. The
// next costs 1 ms, and each after that twice as much, up to 50 ms; so a storm of
// events wakes this side 20 times a second. One that brings something starts anew.
type pace struct{ empty int }

const (
	freeEvents = 8
	firstPause = time.Millisecond
	lastPause  = 50 * time.Millisecond

	// drip is how many bytes an event that tells of room brings at least, or the end of
	// a Write: a peer that reads byte by byte out of a full ring would wake us for each.
	drip = 64
)

// brought is to be called after each event.
func (p *pace) brought(something bool) time.Duration {
	if something {
		p.empty = 0
		return 0
	}
	p.empty++
	if p.empty <= freeEvents {
		return 0
	}
	doubled := p.empty - freeEvents - 1
	if doubled >= 6 { // 64 ms
		p.empty = freeEvents + 7
		return lastPause
	}
	return firstPause << doubled
}
