package wiretest

import (
	"context"
	"os"
	"sync"
)

// Tank is a tap that gives only what a test has poured into it. It remembers
// the memory that it filled, so that a test can see whether that was zeroed.
type Tank struct {
	mu      sync.Mutex
	level   int
	given   uint64
	waiting int
	closed  bool
	changed chan struct{} // closed and replaced at every change
	filled  [][]byte
}

// NewTank returns a tank with level bytes in it.
func NewTank(level int) *Tank {
	return &Tank{level: level, changed: make(chan struct{})}
}

// Pour adds n bytes and wakes who waits for them.
func (t *Tank) Pour(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.level += n
	t.wake()
}

// Close makes every ReadContext, waiting or to come, return os.ErrClosed.
func (t *Tank) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	t.wake()
}

// TryRead takes up to len(p) bytes of what is left.
func (t *Tank) TryRead(p []byte) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.take(p)
}

// ReadContext waits until there is something to take.
func (t *Tank) ReadContext(ctx context.Context, p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if t.closed {
			return 0, os.ErrClosed
		}
		if n := t.take(p); n > 0 {
			return n, nil
		}
		t.wait(ctx)
	}
}

// Available returns what is left.
func (t *Tank) Available() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.level
}

// Given returns how many bytes were taken.
func (t *Tank) Given() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.given
}

// Dry waits until n readers are blocked on the empty tank, or ctx is done.
func (t *Tank) Dry(ctx context.Context, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.waiting < n && ctx.Err() == nil {
		t.park(ctx)
	}
}

// Unzeroed returns how many bytes that the tank gave are still where it put
// them. The taker must have stopped, or this is a race.
func (t *Tank) Unzeroed() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, p := range t.filled {
		for _, b := range p {
			if b != 0 {
				n++
			}
		}
	}
	return n
}

func (t *Tank) take(p []byte) int {
	n := min(len(p), t.level)
	if n == 0 {
		return 0
	}
	Pattern(p[:n], t.given)
	t.given += uint64(n)
	t.level -= n
	t.filled = append(t.filled, p[:n:n])
	return n
}

func (t *Tank) wait(ctx context.Context) {
	t.waiting++
	t.wake()
	t.park(ctx)
	t.waiting--
}

// park gives mu up until something changes or ctx is done.
func (t *Tank) park(ctx context.Context) {
	changed := t.changed
	t.mu.Unlock()
	select {
	case <-changed:
	case <-ctx.Done():
	}
	t.mu.Lock()
}

func (t *Tank) wake() {
	close(t.changed)
	t.changed = make(chan struct{})
}
