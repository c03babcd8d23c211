//go:build linux

package integration

import (
	"fmt"
	"sync"
	"testing"
)

// blockSize is the length, in bytes, of what must not be given out twice. Two
// sound streams of this test's length share such a block by chance with
// probability below 2^-90.
const blockSize = 16

// blocks remembers every run of blockSize bytes at every offset of every
// stream, so that a repetition is found however it is aligned.
type blocks struct {
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

func newBlocks() *blocks { return &blocks{seen: map[[blockSize]byte]place{}} }

// stream starts a stream of one receiver. A nil blocks gives one that forgets.
func (b *blocks) stream(name string) *stream { return &stream{name: name, to: b} }

type stream struct {
	name   string
	to     *blocks
	tail   []byte // the last blockSize-1 bytes
	offset int
}

func (s *stream) add(data []byte) {
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

// check fails the test if a block came twice.
func (b *blocks) check(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.twice) > 0 {
		t.Errorf("%d blocks of %d bytes were given twice, the first: %s", len(b.twice), blockSize, b.twice[0])
	}
	t.Logf("%d bytes, no block of %d twice", b.bytes, blockSize)
}

// TestBlocks shows that the check above finds what it is there for.
func TestBlocks(t *testing.T) {
	data := make([]byte, 200)
	for i := range data {
		data[i] = byte(i)
	}
	b := newBlocks()
	one, other := b.stream("one"), b.stream("other")
	one.add(data[:7])
	one.add(data[7:100])
	other.add(data[100:])
	if len(b.twice) != 0 {
		t.Fatalf("found %v in a stream without repetition", b.twice)
	}
	other.add(data[33 : 33+blockSize-1])
	if len(b.twice) != 0 {
		t.Fatalf("found %v in less than a block", b.twice)
	}
	other.add(data[33+blockSize-1 : 33+blockSize])
	if len(b.twice) != 1 || b.twice[0] != "one at 33 and other at 100" {
		t.Fatalf("found %q", b.twice)
	}
}
