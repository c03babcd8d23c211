package reservoir

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"
)

// naive counts as the standard says it, one sample at a time, in bits.
type naive struct {
	minSources, room int
	inputs           []naiveInput
	poured           map[string]float64 // that counts, by each origin as long as it has an input
	ever             map[string]float64 // and since the start
	blocks           int
}

type naiveInput struct {
	origin   string
	credited bool
	share    float64
}

// pour returns how many samples input i gets rid of.
func (m *naive) pour(i, samples int, h float64) int {
	in := &m.inputs[i]
	for n := range samples {
		if in.share >= BlockEntropy || m.room == 0 && in.credited {
			return n
		}
		in.share += h
		if !in.credited {
			continue
		}
		m.poured[in.origin] += h
		m.ever[in.origin] += h
		full := map[string]bool{}
		for _, other := range m.inputs {
			if other.credited && other.share >= BlockEntropy {
				full[other.origin] = true
			}
		}
		if len(full) >= m.minSources {
			m.blocks++
			m.room--
			for j := range m.inputs {
				m.inputs[j].share = 0
			}
		}
	}
	return samples
}

func (m *naive) begin(i int, origin string, credited bool) {
	before := m.inputs[i].origin
	m.inputs[i] = naiveInput{origin, credited, 0}
	if !slices.ContainsFunc(m.inputs, func(in naiveInput) bool { return in.origin == before }) {
		delete(m.poured, before)
	}
}

// TestCounting compares with the naive count on random pours of five inputs, which
// are of few origins, change them, and count or not. It holds the invariant behind it:
// with all blocks made by MinSources origins that count, no set of fewer can account
// for them.
func TestCounting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const slots, sources = 4, 5
		m := &naive{
			minSources: rapid.IntRange(1, 3).Draw(t, "min_sources"),
			room:       slots,
			inputs:     make([]naiveInput, sources),
			poured:     map[string]float64{},
			ever:       map[string]float64{},
		}
		r := onHeap(slots, m.minSources)
		var inputs []*Input
		origin := rapid.SampledFrom([]string{"trng", "cpu", "tpm", "stick"})
		begin := func(t *rapid.T, i int) {
			name, credited := origin.Draw(t, "origin"), rapid.IntRange(0, 2).Draw(t, "credited") > 0
			m.begin(i, name, credited)
			inputs[i].Begin(name, credited)
		}
		for i := range sources {
			inputs = append(inputs, r.Input())
			begin(t, i)
		}
		which := rapid.IntRange(0, sources-1)
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
				m.inputs[i].share = 0
			},
			"begin": func(t *rapid.T) { begin(t, which.Draw(t, "input")) },
			"take": func(t *rapid.T) {
				m.room += r.Take(make([]byte, BlockSize), 0) / BlockSize
			},
			"": func(t *rapid.T) {
				s, sum, most := r.Stats(), 0.0, 0.0
				if int(s.Blocks) != m.blocks || r.Level() != (slots-m.room)*BlockSize {
					t.Fatalf("%d blocks, level %d; want %d, %d", s.Blocks, r.Level(), m.blocks, (slots-m.room)*BlockSize)
				}
				for origin, bits := range s.EntropyBits {
					if bits != uint64(m.poured[origin]) {
						t.Fatalf("%s: %d bits, want %v", origin, bits, math.Floor(m.poured[origin]))
					}
				}
				for origin, bits := range m.ever {
					if uint64(m.poured[origin]) > 0 && s.EntropyBits[origin] == 0 {
						t.Fatalf("%s is forgotten", origin)
					}
					sum, most = sum+bits, max(most, bits)
				}
				need := float64(s.Blocks) * BlockEntropy
				if sum < need*float64(m.minSources) || (m.minSources > 1 && sum-most < need*float64(m.minSources-1)) {
					t.Fatalf("%d blocks out of %v", s.Blocks, m.ever)
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

// blocks pours a share of each until one of them has to wait, and says how many blocks
// were finished.
func blocks(t *testing.T, r *Reservoir, inputs ...*Input) int {
	t.Helper()
	before := r.Stats().Blocks
	for _, in := range inputs {
		if err := in.Pour(atOnce(), make([]byte, 72), 8); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	return int(r.Stats().Blocks - before)
}

// TestFailedWithAFullShare: a source that fails when it has brought its share of the
// block in work has brought nothing. What its twin brought had tests of its own.
func TestFailedWithAFullShare(t *testing.T) {
	r := onHeap(8, 2)
	a, twin, b := source(r, "trng"), source(r, "trng"), source(r, "cpu")
	blocks(t, r, a)
	a.Forfeit()
	if n := blocks(t, r, b); n != 0 {
		t.Fatal("a block with the samples of one that failed")
	}
	if n := blocks(t, r, twin); n != 1 {
		t.Fatal("no block of two that are well")
	}
}

// TestGoneWithAFullShare: what a source brought that has only gone away was tested and
// counts, in the one block that was in work. When it is back it begins with nothing.
func TestGoneWithAFullShare(t *testing.T) {
	r := onHeap(8, 2)
	a, b := source(r, "trng"), source(r, "cpu")
	blocks(t, r, a) // and it is gone
	if n := blocks(t, r, b, b, b); n != 1 {
		t.Fatalf("%d blocks, want the one that was in work", n)
	}
	for range 2 { // it comes and goes with all but one sample of a share
		a.Begin("trng", true)
		if err := a.Pour(atOnce(), make([]byte, 71), 8); err != nil {
			t.Fatal(err)
		}
	}
	if s := r.Stats(); s.Blocks != 1 || s.Ready != 1 {
		t.Fatalf("it came back with what it had: %+v", s)
	}
}

// TestOriginsComeAndGo: an origin that nobody reads any more is forgotten, and one that
// is begun anew is not.
func TestOriginsComeAndGo(t *testing.T) {
	r := onHeap(8, 1)
	a := source(r, "file:1:1")
	blocks(t, r, a)
	a.Begin("file:1:1", true)
	if bits := r.Stats().EntropyBits["file:1:1"]; bits != 576 {
		t.Errorf("%d bits of an origin that was begun anew, want 576", bits)
	}
	for i := range 1000 {
		a.Begin(fmt.Sprintf("file:1:%d", i), true)
	}
	a.Close()
	a.Begin("file:2:1", true)
	if n := len(r.origins); n != 0 {
		t.Errorf("%d origins of no input", n)
	}
}

// BenchmarkPour is what a pump does with a window: 512 samples of 6 bits each are poured,
// and the blocks that they make are taken.
func BenchmarkPour(b *testing.B) {
	r := onHeap(1024, 1)
	in := source(r, "trng")
	samples, block := make([]byte, 512), make([]byte, 8*BlockSize)
	b.SetBytes(int64(len(samples)))
	b.ReportAllocs()
	for b.Loop() {
		if err := in.Pour(b.Context(), samples, 6); err != nil {
			b.Fatal(err)
		}
		r.Take(block, 0)
	}
}
