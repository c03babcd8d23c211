//go:build linux

package sign

import "time"

// What comes from the kernel without end, be it the log of a broken driver or the links
// of a thousand containers, is read this much at once, and then at this rate. Under
// emulation a record of the log costs 150 µs.
const (
	paceBurst = 1000
	paceRate  = 200 // a second
)

// pace is a token bucket that is filled once a second, so that a storm wakes nobody
// more often; the zero value is full.
type pace struct {
	filled time.Time
	used   int
}

// took takes one and returns how long to leave the rest alone.
func (p *pace) took(now time.Time) time.Duration {
	switch seconds := now.Sub(p.filled) / time.Second; {
	case seconds < 0 || seconds >= paceBurst/paceRate:
		p.filled, p.used = now, 0
	default:
		p.filled = p.filled.Add(seconds * time.Second)
		p.used = max(p.used-int(seconds)*paceRate, 0)
	}
	if p.used++; p.used < paceBurst {
		return 0
	}
	return time.Second - now.Sub(p.filled)
}

// rest waits; false when it is time to stop.
func rest(d time.Duration, stop <-chan struct{}) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-stop:
		return false
	}
}

// burstEnds is how long events are one burst. QEMU has a link announce itself five
// times within 0.8 s (migration/announce.c).
const burstEnds = 2 * time.Second

// burst makes at most two signs of a burst of events: at the first of them, and at
// the end if there were more. The zero value is quiet.
type burst struct {
	ends time.Time // zero: there is none
	more bool
}

// at is called at every event, and when ends has come. It says whether to tell.
func (b *burst) at(now time.Time, event bool) (tell bool) {
	if !b.ends.IsZero() && !now.Before(b.ends) {
		tell = b.more
		*b = burst{}
		if tell {
			b.ends = now.Add(burstEnds) // what comes now is told at the end of that
		}
	}
	switch {
	case !event || tell:
	case b.ends.IsZero():
		b.ends, tell = now.Add(burstEnds), true
	default:
		b.more = true
	}
	return tell
}
