package reservoir

import (
	"context"
	"errors"
	"math"
	"os"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"
)

// naive counts as the standard says it, one sample at a time, in bits.
type naive struct {
	minSources, room int
	origin           []string
	share            []float64
	poured           map[string]float64
	blocks           int
}

// pour returns how many samples input i gets rid of.
func (m *naive) pour(i, samples int, h float64) int {
	for n := range samples {
		if m.room == 0 || m.share[i] >= BlockEntropy {
			return n
		}
		m.share[i] += h
		m.poured[m.origin[i]] += h
		full := map[string]bool{}
		for j, share := range m.share {
			if share >= BlockEntropy {
				full[m.origin[j]] = true
			}
		}
		if len(full) >= m.minSources {
			m.blocks++
			m.room--
			clear(m.share)
		}
	}
	return samples
}

// TestCounting compares with the naive count on random pours of four inputs of
// three origins, and holds the invariant behind it: with all blocks made by
// MinSources origins, no set of fewer can account for them.
func TestCounting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const slots = 4
		m := &naive{
			minSources: rapid.IntRange(1, 3).Draw(t, "min_sources"),
			room:       slots,
			origin:     []string{"trng", "trng", "cpu", "tpm"},
			share:      make([]float64, 4),
			poured:     map[string]float64{},
		}
		r := onHeap(slots, m.minSources)
		var inputs []*Input
		for _, origin := range m.origin {
			inputs = append(inputs, source(r, origin))
		}
		which := rapid.IntRange(0, len(inputs)-1)
		t.Repeat(map[string]func(*rapid.T){
			"pour": func(t *rapid.T) {
				i := which.Draw(t, "input")
				n := rapid.IntRange(0, 1500).Draw(t, "samples")
				h := float64(rapid.IntRange(1, 8*64).Draw(t, "h·64")) / 64 // a float64 adds these up exactly
				want := m.pour(i, n, h)
				if err := inputs[i].Pour(atOnce(), make([]byte, n), h); (err == nil) != (want == n) {
					t.Fatalf("poured %d of %d samples, error %v", want, n, err)
				}
			},
			"forfeit": func(t *rapid.T) {
				i := which.Draw(t, "input")
				inputs[i].Forfeit()
				m.share[i] = 0
			},
			"take": func(t *rapid.T) {
				m.room += r.Take(make([]byte, BlockSize), 0) / BlockSize
			},
			"": func(t *rapid.T) {
				s, sum, most := r.Stats(), 0.0, 0.0
				if int(s.Blocks) != m.blocks || r.Level() != (slots-m.room)*BlockSize {
					t.Fatalf("%d blocks, level %d; want %d, %d", s.Blocks, r.Level(), m.blocks, (slots-m.room)*BlockSize)
				}
				for origin, bits := range m.poured {
					if s.EntropyBits[origin] != uint64(bits) {
						t.Fatalf("%s: %d bits, want %v", origin, s.EntropyBits[origin], math.Floor(bits))
					}
					sum, most = sum+bits, max(most, bits)
				}
				need := float64(s.Blocks) * BlockEntropy
				if sum < need*float64(m.minSources) || (m.minSources > 1 && sum-most < need*float64(m.minSources-1)) {
					t.Fatalf("%d blocks out of %v", s.Blocks, m.poured)
				}
			},
		})
	})
}

// TestAnyEntropy holds for any assessment, representable or not: the bits that
// went in cover the blocks that came out.
func TestAnyEntropy(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := rapid.Float64Range(1.0/1024, 8).Draw(t, "h")
		n := rapid.IntRange(0, 5000).Draw(t, "samples")
		r := onHeap(1024, 1)
		if err := source(r, "a").Pour(atOnce(), make([]byte, n), h); err != nil {
			t.Fatal(err)
		}
		if s := r.Stats(); float64(s.Blocks)*BlockEntropy > float64(n)*h || float64(s.EntropyBits["a"]) > float64(n)*h {
			t.Fatalf("%d samples of %v bits: %+v", n, h, s)
		}
	})
}

func TestOneOriginCountsOnce(t *testing.T) {
	r := onHeap(8, 2)
	a, twin, b := source(r, "trng"), source(r, "trng"), source(r, "cpu")
	pour := func(in *Input, samples int, want error) {
		t.Helper()
		if err := in.Pour(atOnce(), make([]byte, samples), 8); !errors.Is(err, want) {
			t.Fatalf("Pour: %v, want %v", err, want)
		}
	}
	pour(a, 72, nil)
	pour(twin, 72, nil)
	pour(a, 1, context.Canceled) // has brought its share
	if s := r.Stats(); s.Blocks != 0 || s.Ready != 1 || s.SourceWaits != 1 {
		t.Fatalf("a twin helped: %+v", s)
	}
	pour(b, 71, nil)
	a.Forfeit()
	pour(b, 1, nil) // twin still stands for the origin
	if s := r.Stats(); s.Blocks != 1 || s.Ready != 0 {
		t.Fatalf("no block: %+v", s)
	}
	pour(a, 36, nil)
	pour(twin, 36, nil) // two halves of the same noise are no share
	pour(b, 72, nil)
	if s := r.Stats(); s.Blocks != 1 {
		t.Fatalf("two halves made a share: %+v", s)
	}
	b.Close()
	pour(a, 36, nil)
	if s := r.Stats(); s.Blocks != 1 || s.Ready != 1 {
		t.Fatalf("a closed input counts: %+v", s)
	}
	pour(b, 1, os.ErrClosed)
}

// TestPourWaits shows what ends each kind of waiting.
func TestPourWaits(t *testing.T) {
	for _, test := range []struct {
		name string
		full bool // the ring is full; else the other origin is awaited
		end  func(r *Reservoir, in, other *Input, cancel func())
		want error
	}{
		{"room, taken", true, func(r *Reservoir, _, _ *Input, _ func()) { r.Take(make([]byte, 64), 0) }, nil},
		{"room, cancelled", true, func(_ *Reservoir, _, _ *Input, cancel func()) { cancel() }, context.Canceled},
		{"room, input closed", true, func(_ *Reservoir, in, _ *Input, _ func()) { in.Close() }, os.ErrClosed},
		{"room, closed", true, func(r *Reservoir, _, _ *Input, _ func()) { r.Close() }, os.ErrClosed},
		{"other, poured", false, func(r *Reservoir, _, other *Input, _ func()) {
			_ = other.Pour(context.Background(), make([]byte, 72), 8)
		}, nil},
		{"other, forfeited", false, func(_ *Reservoir, in, _ *Input, _ func()) { in.Forfeit() }, nil},
		{"other, cancelled", false, func(_ *Reservoir, _, _ *Input, cancel func()) { cancel() }, context.Canceled},
		{"other, closed", false, func(r *Reservoir, _, _ *Input, _ func()) { r.Close() }, os.ErrClosed},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				r := onHeap(2, 2)
				in, other := source(r, "a"), source(r, "b")
				if test.full {
					for range 2 {
						_ = in.Pour(ctx, make([]byte, 72), 8)
						_ = other.Pour(ctx, make([]byte, 72), 8)
					}
				} else {
					_ = in.Pour(ctx, make([]byte, 72), 8)
				}
				done := make(chan error, 1)
				go func() { done <- in.Pour(ctx, make([]byte, 10), 8) }()
				synctest.Wait()
				select {
				case err := <-done:
					t.Fatalf("Pour did not wait: %v", err)
				default:
				}
				test.end(r, in, other, cancel)
				synctest.Wait()
				select {
				case err := <-done:
					if !errors.Is(err, test.want) {
						t.Errorf("Pour: %v, want %v", err, test.want)
					}
				default:
					t.Error("Pour still waits")
				}
			})
		})
	}
}

// TestManyWaitForRoom frees a slot: the one token that the taker leaves has to wake
// all who wait, as none of them finishes a block.
func TestManyWaitForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pours = 5
		r := onHeap(1, 1)
		if err := source(r, "a").Pour(t.Context(), make([]byte, 72), 8); err != nil {
			t.Fatal(err)
		}
		for range pours {
			in := source(r, "b")
			go func() { _ = in.Pour(t.Context(), make([]byte, 10), 8) }()
		}
		synctest.Wait()
		r.Take(make([]byte, BlockSize), 0)
		synctest.Wait()
		if got := r.Stats().EntropyBits["b"]; got != pours*10*8 {
			t.Errorf("%d bits poured, want %d: somebody was not woken", got, pours*10*8)
		}
	})
}
