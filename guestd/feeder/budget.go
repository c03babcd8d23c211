//go:build linux

package feeder

import (
	"time"

	"headgate/wire/feed"
)

// What a host sends may be dear to take: of frames whose checksum is wrong 64 KiB cost
// a hundred times what random bytes do. So a host that sends more than a frame at a
// time is bounded by what that costs, too: budgetBurst of processor time at once, and
// then one part in budgetShare of the time. One that is well again is heard after
// budgetWait at the latest.
const (
	budgetBurst = 50 * time.Millisecond
	budgetShare = 200 // 0.5 %
	budgetWait  = 20 * time.Second
)

// budget is that of one line, in processor time of the whole process. The zero value
// is full.
type budget struct {
	at   time.Time
	used time.Duration // by then
	owed time.Duration // of what was used, how much is not made up for by time that has gone
}

// take takes note of what this process has used up to now, for a turn of so many bytes,
// and returns how long to wait.
func (b *budget) take(now time.Time, used time.Duration, bytes int) time.Duration {
	if !b.at.IsZero() {
		b.owed = max(b.owed-max(now.Sub(b.at), 0)/budgetShare, 0)
	}
	if bytes > feed.MaxFrame {
		b.owed = min(b.owed+used-b.used, budgetBurst+budgetWait/budgetShare)
	}
	b.at, b.used = now, used
	if bytes <= feed.MaxFrame {
		return 0
	}
	return max(b.owed-budgetBurst, 0) * budgetShare
}
