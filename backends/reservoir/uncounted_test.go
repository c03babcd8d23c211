package reservoir

import (
	"context"
	"crypto/sha512"
	"hash"
	"testing"
	"testing/synctest"
)

// uncounted is an input whose bytes are mixed in and count nothing.
func uncounted(r *Reservoir, origin string) *Input {
	in := r.Input()
	in.Begin(origin, false)
	return in
}

func TestUncountedMakesNoBlock(t *testing.T) {
	r := onHeap(8, 2)
	a, none := source(r, "trng"), uncounted(r, "tpm")
	if n := blocks(t, r, none, a, none, a); n != 0 {
		t.Fatalf("%d blocks of one origin that counts", n)
	}
	if s := r.Stats(); s.Ready != 1 || s.EntropyBits["tpm"] != 0 {
		t.Fatalf("%+v", s)
	}
	// Nor does it help an origin that it shares.
	uncounted(r, "cpu").Begin("cpu", false)
	half := source(r, "cpu")
	if err := half.Pour(atOnce(), make([]byte, 71), 8); err != nil {
		t.Fatal(err)
	}
	if n := blocks(t, r, uncounted(r, "cpu")); n != 0 {
		t.Fatal("it made up what was lacking of a share")
	}
	if n := blocks(t, r, half); n != 1 {
		t.Fatalf("%d blocks, want 1", n)
	}
}

// TestUncountedKeepsNobody has it pour as fast as it can, once beside a source that
// counts and is fast, once beside a slow one, and once when there is no room: it waits
// without turning, blocks are finished, and it is in each of them.
func TestUncountedKeepsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r := newReservoir(make([]byte, 8*BlockSize), 1, &sizes{Hash: sha512.New()})
		seen := r.hash.(*sizes)
		a, none := source(r, "trng"), uncounted(r, "tpm")
		pours := 0
		go func() {
			sample := make([]byte, 24) // a third of a share
			for none.Pour(ctx, sample, 8) == nil {
				pours++
			}
		}()
		synctest.Wait()
		for range 20 {
			if n := blocks(t, r, a); n != 1 {
				t.Fatal("no block")
			}
			synctest.Wait()
			r.Take(make([]byte, BlockSize), 0)
		}
		if want := 3 * 21; pours != want {
			t.Errorf("%d pours, want %d: 3 for each block and those of the next", pours, want)
		}
		for i, n := range seen.blocks {
			if n != 2*72 {
				t.Errorf("block %d is of %d samples, want a share of each", i, n)
			}
		}
		for range 8 { // until it is full
			blocks(t, r, a)
			synctest.Wait()
		}
		if n := blocks(t, r, a); n != 0 || pours != 3*29 {
			t.Errorf("full: %d blocks, %d pours", n, pours)
		}
		cancel()
		synctest.Wait()
	})
}

// sizes notes of how many samples each block is.
type sizes struct {
	hash.Hash
	n      int
	blocks []int
}

func (s *sizes) Write(p []byte) (int, error) {
	s.n += len(p)
	return s.Hash.Write(p)
}

func (s *sizes) Sum(b []byte) []byte {
	s.blocks, s.n = append(s.blocks, s.n), -sha512.BlockSize // what scrub writes after it
	return s.Hash.Sum(b)
}
