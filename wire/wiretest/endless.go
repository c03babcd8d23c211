package wiretest

import (
	"context"
	"math"
	"sync/atomic"
)

// Endless is a tap that never runs dry. The zero value is ready.
type Endless struct{ given atomic.Uint64 }

// TryRead fills p.
func (e *Endless) TryRead(p []byte) int {
	n := uint64(len(p))
	Pattern(p, e.given.Add(n)-n)
	return len(p)
}

// ReadContext fills p, unless ctx is done.
func (e *Endless) ReadContext(ctx context.Context, p []byte) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return e.TryRead(p), nil
}

// Available is as much as an int can say.
func (e *Endless) Available() int { return math.MaxInt }

// Given returns how many bytes were taken.
func (e *Endless) Given() uint64 { return e.given.Load() }
