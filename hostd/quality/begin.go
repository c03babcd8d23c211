package quality

import (
	"sync"
	"sync/atomic"
	"time"

	"headgate/ratelimit"
)

// beginning is how the guest got its first bytes since it was last fresh, of whatever
// quality.
type beginning struct {
	left atomic.Int32 // bytes that it has not had; written under mu

	mu     sync.Mutex
	born   time.Time
	seeded bool
	took   time.Duration
}

func (b *beginning) fresh(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seeded, b.born = false, now
	b.left.Store(ratelimit.Quantum)
}

// over says that it has had them.
func (b *beginning) over() bool { return b.left.Load() == 0 }

// gave notes that the guest got n bytes.
func (b *beginning) gave(t *Tap, n int) {
	if n == 0 || b.over() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	left := b.left.Load()
	if left == 0 {
		return
	}
	left -= int32(min(int(left), n))
	b.left.Store(left)
	if left == 0 {
		b.seeded, b.took = true, max(t.opt.Now().Sub(b.born), 0)
	}
}

func (b *beginning) told() (seeded bool, took time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seeded, b.took
}

// level tells when a guest of quality FullThenDRBG goes above its share, and when it
// has been below it for a while.
type level struct {
	above atomic.Bool
	last  atomic.Int64 // when it last got bytes of the DRBG, in ns since 1970
}

func (l *level) note(t *Tap, n int, full bool) {
	if n == 0 || full && !l.above.Load() {
		return
	}
	now := t.opt.Now().UnixNano()
	switch {
	case !full:
		l.last.Store(now)
		if l.above.CompareAndSwap(false, true) {
			t.tell(Event{Kind: ToDRBG, Seeds: t.gen().seeds()})
		}
	case now-l.last.Load() >= int64(awhile) && l.above.CompareAndSwap(true, false):
		t.tell(Event{Kind: ToFull, Seeds: t.gen().seeds()})
	}
}
