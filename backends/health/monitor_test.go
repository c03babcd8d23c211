package health

import (
	"bytes"
	"errors"
	"math"
	"testing"
)

func newMonitor(t testing.TB, h float64, alphaLog2 int) *Monitor {
	t.Helper()
	m, err := New(Params{MinEntropy: h, AlphaLog2: alphaLog2})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// counting returns n samples in which no value stands out: 0, 1, 2, … 255, 0, …
func counting(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i)
	}
	return p
}

func TestParams(t *testing.T) {
	for _, p := range []Params{
		{MinEntropy: 0}, {MinEntropy: -1}, {MinEntropy: 8.01}, {MinEntropy: math.NaN()},
		{MinEntropy: 2, AlphaLog2: 9}, {MinEntropy: 2, AlphaLog2: 61}, {MinEntropy: 2, AlphaLog2: -20},
	} {
		if _, err := New(p); err == nil {
			t.Errorf("New(%+v) was accepted", p)
		}
	}
	if m := newMonitor(t, 2, 0); m.rct != RCTCutoff(2, DefaultAlphaLog2) {
		t.Errorf("no alpha given: RCT cutoff %d", m.rct)
	}
}

func TestFirstFailingSample(t *testing.T) {
	apt, mcv := APTCutoff(6, 40, Window), mcvCutoff(6, 40)
	// every puts value at each second place of counting samples, from the given one on.
	every := func(value byte, from int) []byte {
		p := counting(Window)
		for i := from; i < len(p); i += 2 {
			p[i] = value
		}
		return p
	}
	for _, c := range []struct {
		name string
		in   []byte
		want Failure
	}{
		{"zeros", make([]byte, 100), Failure{RCT, 8, 8, 7}},
		{"repeated byte", bytes.Repeat([]byte{0xa5}, 100), Failure{RCT, 8, 8, 7}},
		{"run inside", append(counting(300), make([]byte, 8)...), Failure{RCT, 8, 8, 307}},
		{"first sample too often", every(0, 0), Failure{APT, apt, apt, 2 * uint64(apt-1)}},
		{"later sample too often", every(1, 1)[:Window-1], Failure{MCV, mcv, mcv, 2*uint64(mcv-1) + 1}},
		{"run across windows", append(counting(Window-4), make([]byte, 8)...), Failure{RCT, 8, 8, Window + 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMonitor(t, 6, 40)
			var f *Failure
			if err := m.Test(c.in); !errors.As(err, &f) || *f != c.want {
				t.Fatalf("got %v, want %v", err, &c.want)
			}
			if err := m.Test(counting(10)); !errors.Is(err, f) {
				t.Errorf("after the failure: %v", err)
			}
			m.Reset()
			if err := m.Test(counting(4 * Window)); err != nil {
				t.Errorf("after Reset: %v", err)
			}
		})
	}
}

func TestFailureText(t *testing.T) {
	want := "health test rct failed: count 8 reached the cutoff 8 at sample 307"
	if got := (&Failure{RCT, 8, 8, 307}).Error(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestRun(t *testing.T) {
	m := newMonitor(t, 6, 40)
	for _, c := range []struct {
		in   string
		want int
	}{{"", 0}, {"a", 1}, {"aa", 3}, {"", 3}, {"ab", 1}, {"bbb", 4}} {
		if err := m.Test([]byte(c.in)); err != nil {
			t.Fatal(err)
		}
		if m.Run() != c.want {
			t.Errorf("after %q the run is %d, want %d", c.in, m.Run(), c.want)
		}
	}
	if m.Reset(); m.Run() != 0 {
		t.Errorf("after Reset the run is %d", m.Run())
	}
}

func BenchmarkMonitor(b *testing.B) {
	samples := make([]byte, 64<<10)
	fillUniform(samples, 8)
	m := newMonitor(b, 2, 40)
	b.SetBytes(int64(len(samples)))
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Test(samples); err != nil {
			b.Fatal(err)
		}
	}
}
