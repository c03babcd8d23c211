package events

import "time"

// Of one kind and subject a burst is taken, and after it one event each period:
// enough to see what goes on, too few to fill a disk. Of what is common to all
// subjects it is so few that the ring holds the rest of a day.
const (
	burst        = 20
	period       = 10 * time.Second
	commonPeriod = 5 * time.Minute
)

// maxKeys bounds the memory of the limiter. Subjects are configured names, so
// more come up only where there are more guests than that; those that come on
// top share one bucket.
const maxKeys = 1 << 17

// key is what is limited by itself; common is that of all subjects.
type key struct {
	kind, subject string
	common        bool
}

func (e *Event) key() key {
	if e.Common {
		return key{kind: e.Kind, common: true}
	}
	return key{kind: e.Kind, subject: e.Subject}
}

func (k key) period() time.Duration {
	if k.common {
		return commonPeriod
	}
	return period
}

type bucket struct {
	tokens     int
	filled     time.Time // up to when tokens were given
	suppressed uint64
}

type limiter struct {
	buckets map[key]*bucket
	swept   time.Time
}

// allow tells whether an event may be taken, and how many of its key were not
// since the last that was.
func (l *limiter) allow(k key, now time.Time) (suppressed uint64, ok bool) {
	l.sweep(now)
	b := l.buckets[k]
	if b == nil && len(l.buckets) >= maxKeys {
		k = key{}
		b = l.buckets[k]
	}
	if b == nil {
		b = &bucket{tokens: burst, filled: now}
		l.buckets[k] = b
	}
	b.refill(now, k.period())
	if b.tokens == 0 {
		b.suppressed++
		return 0, false
	}
	b.tokens--
	suppressed, b.suppressed = b.suppressed, 0
	return suppressed, true
}

// refill gives a token for each whole period. A clock that went back gives
// none, and counts on from where it is.
func (b *bucket) refill(now time.Time, period time.Duration) {
	n := int(now.Sub(b.filled) / period)
	switch {
	case n < 0 || b.tokens+n >= burst:
		b.tokens, b.filled = min(b.tokens+max(n, 0), burst), now
	case n > 0:
		b.tokens += n
		b.filled = b.filled.Add(time.Duration(n) * period)
	}
}

// sweep forgets, once in a while, the keys that have nothing to remember.
func (l *limiter) sweep(now time.Time) {
	if since := now.Sub(l.swept); since >= 0 && since < burst*period {
		return
	}
	l.swept = now
	for k, b := range l.buckets {
		b.refill(now, k.period())
		if b.tokens == burst && b.suppressed == 0 {
			delete(l.buckets, k)
		}
	}
}
