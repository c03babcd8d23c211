//go:build linux

package rig

import (
	"fmt"
	"sync"
	"testing"
)

// blockSize is the length, in bytes, of what must not be given out twice. Two
// sound streams of this test's length share such a block by chance with
// probability below 2^-90.
const blockSize = 16

// Blocks remembers every run of blockSize bytes at every offset of every
// stream, so that a repetition is found however it is aligned.
type Blocks struct {
	mu    sync.Mutex
	seen  map[[blockSize]byte]place // where it was first
	bytes int
	twice []string
}

// place is an offset of one receiver's stream.
type place struct {
	receiver string
	offset   int
}

func (p place) String() string { return fmt.Sprintf("%s at %d", p.receiver, p.offset) }

// NewBlocks has seen nothing yet.
func NewBlocks() *Blocks { return &Blocks{seen: map[[blockSize]byte]place{}} }

// Stream starts a stream of one receiver. A nil Blocks gives one that forgets.
func (b *Blocks) Stream(name string) *Stream { return &Stream{name: name, to: b} }

// Stream is what one receiver got, in its order.
type Stream struct {
	name   string
	to     *Blocks
	tail   []byte // the last blockSize-1 bytes
	offset int
}

// Add takes what came next.
func (s *Stream) Add(data []byte) {
	if s.to == nil || len(data) == 0 {
		return
	}
	s.to.mu.Lock()
	defer s.to.mu.Unlock()
	s.to.bytes += len(data)
	joined := append(s.tail, data...)
	for i := 0; i+blockSize <= len(joined); i++ {
		block := [blockSize]byte(joined[i:])
		where := place{s.name, s.offset + i}
		if before, ok := s.to.seen[block]; ok {
			s.to.twice = append(s.to.twice, fmt.Sprintf("%s and %s", before, where))
			continue
		}
		s.to.seen[block] = where
	}
	rest := min(len(joined), blockSize-1)
	s.offset += len(joined) - rest
	s.tail = append([]byte(nil), joined[len(joined)-rest:]...)
}

// Check fails the test if a block came twice.
func (b *Blocks) Check(t testing.TB) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.twice) > 0 {
		t.Errorf("%d blocks of %d bytes were given twice, the first: %s", len(b.twice), blockSize, b.twice[0])
	}
	t.Logf("%d bytes, no block of %d twice", b.bytes, blockSize)
}
