//go:build linux

package feeder

import "time"

// A host that sends without end gets pace.burst turns at once and then one a
// second: 64 KiB and one reseed each.
const (
	paceBurst = 8
	paceEvery = time.Second
)

// pace is a token bucket; the zero value is full.
type pace struct {
	next time.Time // when the bucket would be full again
}

// take takes a token and returns how long to wait before using it.
func (p *pace) take(now time.Time) time.Duration {
	if p.next.Before(now) || p.next.Sub(now) > 2*paceBurst*paceEvery { // the clock may have jumped back
		p.next = now
	}
	p.next = p.next.Add(paceEvery)
	return max(p.next.Sub(now)-paceBurst*paceEvery, 0)
}
