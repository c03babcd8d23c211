package egd

import (
	"context"
	"testing"

	"headgate/wire"
	"headgate/wire/wiretest"
)

// TestNoAllocations counts both ends of a request answered by the reader, and
// the server's end of one left to the writer.
func TestNoAllocations(t *testing.T) {
	for name, tap := range map[string]wire.Tap{"reader": new(wiretest.Endless), "writer": new(slow)} {
		p := dial(t, &Server{Tap: tap})
		buf := make([]byte, 64)
		allocs := testing.AllocsPerRun(1000, func() {
			if _, err := p.client.Read(buf); err != nil {
				t.Fatal(err)
			}
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations a request, want 0", name, allocs)
		}
		p.close()
	}
}

// slow is a tap that has nothing at once and everything a moment later.
type slow struct{ wiretest.Endless }

func (*slow) TryRead([]byte) int { return 0 }

func (s *slow) ReadContext(_ context.Context, p []byte) (int, error) {
	return s.Endless.TryRead(p), nil
}
