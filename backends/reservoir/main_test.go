package reservoir

import (
	"context"
	"crypto/sha512"
	"encoding/binary"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// onHeap makes a reservoir in ordinary memory, which, unlike mapped memory, the
// race detector watches.
func onHeap(blocks, minSources int) *Reservoir {
	return newReservoir(make([]byte, blocks*BlockSize), minSources, sha512.New())
}

// impatient is a context that ends the moment somebody waits for it, so that a
// Pour that would block returns instead.
type impatient struct {
	context.Context
	cancel context.CancelFunc
}

func atOnce() impatient {
	ctx, cancel := context.WithCancel(context.Background())
	return impatient{ctx, cancel}
}

func (i impatient) Done() <-chan struct{} {
	i.cancel()
	return i.Context.Done()
}

// tagger counts instead of hashing: each of its digests is the numbers of four
// 16-byte words that no other digest has, none of them zero.
type tagger struct{ words uint64 }

func (t *tagger) Write(p []byte) (int, error) { return len(p), nil }
func (t *tagger) Reset()                      {}
func (t *tagger) Size() int                   { return BlockSize }
func (t *tagger) BlockSize() int              { return sha512.BlockSize }

func (t *tagger) Sum(b []byte) []byte {
	for range BlockSize / 16 {
		t.words++
		b = binary.BigEndian.AppendUint64(b, t.words)
		b = binary.BigEndian.AppendUint64(b, ^t.words)
	}
	return b
}

// source is an input of r for noise of that origin.
func source(r *Reservoir, origin string) *Input {
	in := r.Input()
	in.Begin(origin, true)
	return in
}
