package ratelimit

import "time"

// Stats is what a tap has given and how long its readers waited.
type Stats struct {
	Bytes           uint64        // ever given
	RateThrottled   time.Duration // waited for the tap's own bucket
	SupplyThrottled time.Duration // waited for the supply
	Waiting         bool          // a reader waits now
	Seeded          bool          // the guest has had its first 64 bytes since it was last fresh
	FirstBytes      time.Duration // how long that took; 0 until then

	fresh int // of the first 64 bytes, how many are not given yet
}

// cause is what a reader waits for.
type cause int

const (
	causeNone cause = iota
	causeRate
	causeSupply
)

// begin notes that the reader waits from now on. The caller holds mu.
func (t *Tap) begin(why cause) {
	if !t.quiet {
		t.since, t.why = t.s.opt.Now(), why
	}
}

// end adds what the reader has waited. The caller holds mu.
func (t *Tap) end() {
	t.stats.add(t.why, t.s.opt.Now()-t.since)
	t.why = causeNone
}

func (s *Stats) add(why cause, d time.Duration) {
	switch d = max(d, 0); why {
	case causeRate:
		s.RateThrottled += d
	case causeSupply:
		s.SupplyThrottled += d
	}
}

// Stats is a snapshot; a wait that goes on is counted up to now.
func (t *Tap) Stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.stats
	s.Waiting = t.why != causeNone
	s.add(t.why, t.s.opt.Now()-t.since)
	return s
}
