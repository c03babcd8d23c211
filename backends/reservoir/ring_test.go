package reservoir

import (
	"bytes"
	"context"
	"encoding/binary"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

// words checks that every word of a tagger comes out once. A word carries its
// number, so one that is torn, wiped too late or overwritten too early shows.
type words []atomic.Int32

func (w words) take(t *testing.T, r *Reservoir) bool {
	var word [16]byte
	if r.Take(word[:], 0) == 0 { // 16 divides all takes and blocks: there is no short one
		return false
	}
	n := binary.BigEndian.Uint64(word[:])
	if binary.BigEndian.Uint64(word[8:]) != ^n {
		t.Errorf("torn word %x", word)
	} else if n < uint64(len(w)) {
		w[n].Add(1)
	}
	return true
}

func (w words) check(t *testing.T) {
	for n := 1; n < len(w); n++ {
		if got := w[n].Load(); got != 1 {
			t.Fatalf("word %d came out %d times", n, got)
		}
	}
}

// TestEachWordOnce lets many takers loose on a ring of a few slots while two
// sources pour. Three quarters of a slot belong to other takers.
func TestEachWordOnce(t *testing.T) {
	const enough, takers = 100_000, 16
	for _, slots := range []int{1, 2, 7, 256} {
		r := newReservoir(make([]byte, slots*BlockSize), 1, &tagger{})
		ctx, stop := context.WithCancel(t.Context())
		var pourers, drinkers sync.WaitGroup
		for _, name := range []string{"a", "b"} {
			in := source(r, name)
			pourers.Go(func() {
				for in.Pour(ctx, make([]byte, 512), 8) == nil {
				}
			})
		}
		seen := make(words, enough)
		var taken atomic.Int64
		for range takers {
			drinkers.Go(func() {
				for taken.Load() < enough {
					if seen.take(t, r) {
						taken.Add(1)
					} else {
						runtime.Gosched()
					}
				}
			})
		}
		drinkers.Wait()
		stop()
		pourers.Wait()
		seen.check(t)
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if !bytes.Equal(r.ring.mem, make([]byte, len(r.ring.mem))) {
			t.Errorf("%d slots: bytes are left in memory", slots)
		}
	}
}

// TestTakersAlone has takers race each other for a ring that was full.
func TestTakersAlone(t *testing.T) {
	const slots = 4096
	for range 30 {
		r := newReservoir(make([]byte, slots*BlockSize), 1, &tagger{})
		if err := source(r, "a").Pour(t.Context(), make([]byte, slots*72), 8); err != nil {
			t.Fatal(err)
		}
		seen := make(words, 1+slots*BlockSize/16)
		var drinkers sync.WaitGroup
		for range 2 * runtime.GOMAXPROCS(0) {
			drinkers.Go(func() {
				for seen.take(t, r) {
				}
			})
		}
		drinkers.Wait()
		seen.check(t)
		if !r.ring.wiped() {
			t.Error("a slot was not given back")
		}
	}
}

// TestRaggedTakes does the same with real hashing and takes of any length that
// keep some behind: all bytes that were taken make up all blocks, and what comes
// out is never the zeros of a wiped slot.
func TestRaggedTakes(t *testing.T) {
	const enough, takers, keep = 256 << 10, 8, 32
	r := onHeap(3, 2)
	ctx, stop := context.WithCancel(t.Context())
	var pourers, drinkers sync.WaitGroup
	for i, name := range []string{"a", "b", "b"} {
		in := source(r, name)
		pourers.Go(func() {
			sample := make([]byte, 100)
			for n := uint64(i) << 32; in.Pour(ctx, sample, 6) == nil; n++ {
				binary.BigEndian.PutUint64(sample, n)
			}
		})
	}
	var taken atomic.Int64
	for i := range takers {
		drinkers.Go(func() {
			var buf, zeros [150]byte
			for want := i; taken.Load() < enough; want++ {
				n := r.Take(buf[:1+want%150], keep)
				if n > 8 && bytes.Equal(buf[:n], zeros[:n]) {
					t.Error("zeros came out")
				}
				if taken.Add(int64(n)); n == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	drinkers.Wait()
	stop()
	pourers.Wait()
	s := r.Stats()
	if got := taken.Load() + int64(r.Level()); got != int64(s.Bytes) {
		t.Errorf("%d bytes taken or held, %d made", got, s.Bytes)
	}
	if r.Level() < keep {
		t.Errorf("level %d, below the %d to be kept", r.Level(), keep)
	}
	for name, bits := range s.EntropyBits {
		if bits < s.Blocks*BlockEntropy {
			t.Errorf("origin %s brought %d bits into %d blocks", name, bits, s.Blocks)
		}
	}
}

// TestTake checks amounts, order and wiping of takes against a plain queue.
func TestTake(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slots := rapid.IntRange(1, 5).Draw(t, "slots")
		r := newReservoir(make([]byte, slots*BlockSize), 1, &tagger{})
		in, made, queue := source(r, "a"), &tagger{}, []byte(nil)
		t.Repeat(map[string]func(*rapid.T){
			"pour": func(t *rapid.T) {
				if in.Pour(atOnce(), make([]byte, 72), 8) == nil {
					queue = made.Sum(queue)
				} else if len(queue) <= (slots-1)*BlockSize {
					t.Fatalf("full at %d bytes of %d", len(queue), slots*BlockSize)
				}
			},
			"take": func(t *rapid.T) {
				p := make([]byte, rapid.IntRange(0, 400).Draw(t, "n"))
				keep := rapid.IntRange(-10, 200).Draw(t, "keep")
				want := max(0, min(len(p), len(queue)-max(keep, 0)))
				if n := r.Take(p, keep); n != want || !bytes.Equal(p[:n], queue[:n]) {
					t.Fatalf("Take(%d, %d) of %d = %d, want %d", len(p), keep, len(queue), n, want)
				}
				queue = queue[want:]
			},
			"": func(t *rapid.T) {
				held := 0
				for _, b := range r.ring.mem {
					if b != 0 {
						held++
					}
				}
				if r.Level() != len(queue) || held > len(queue) {
					t.Fatalf("level %d with %d bytes in memory, want %d", r.Level(), held, len(queue))
				}
			},
		})
	})
}

func TestNoAllocation(t *testing.T) {
	r := onHeap(4, 1)
	in, p, samples := source(r, "a"), make([]byte, 64), make([]byte, 72)
	if n := testing.AllocsPerRun(1000, func() {
		if err := in.Pour(t.Context(), samples, 8); err != nil || r.Take(p, 0) != 64 {
			t.Fatal("no bytes")
		}
	}); n != 0 {
		t.Errorf("a block made and taken allocates %v times", n)
	}
}

func BenchmarkTake(b *testing.B) {
	r := onHeap(1024, 1)
	p := make([]byte, 64)
	b.SetBytes(64)
	b.ReportAllocs()
	for b.Loop() {
		if r.ring.free() {
			r.ring.publish()
		}
		r.Take(p, 0)
	}
}

// BenchmarkTakeParallel has every taker publish a slot for the one it takes, behind
// a lock, so it is an upper bound of the cost.
func BenchmarkTakeParallel(b *testing.B) {
	r := onHeap(1024, 1)
	b.SetBytes(64)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		p := make([]byte, 64)
		for pb.Next() {
			r.mu.Lock()
			if r.ring.free() {
				r.ring.publish()
			}
			r.mu.Unlock()
			r.Take(p, 0)
		}
	})
}
