package health

import (
	"bytes"
	"errors"
	"testing"
)

// oracle is the tests as the standard tells them, one after the other over the
// whole input. It returns the first failure, or nil.
func oracle(samples []byte, h float64, alphaLog2 int) *Failure {
	rct, apt, mcv := RCTCutoff(h, alphaLog2), APTCutoff(h, alphaLog2, Window), mcvCutoff(h, alphaLog2)
	for i, s := range samples {
		window := samples[i-i%Window : i+1]
		if n := runAtEnd(samples[:i+1]); n >= rct {
			return &Failure{RCT, n, rct, uint64(i)}
		}
		if n := bytes.Count(window, window[:1]); s == window[0] && n >= apt {
			return &Failure{APT, n, apt, uint64(i)}
		}
		if n := bytes.Count(window, []byte{s}); n >= mcv {
			return &Failure{MCV, n, mcv, uint64(i)}
		}
	}
	return nil
}

func runAtEnd(samples []byte) int {
	n := 0
	for n < len(samples) && samples[len(samples)-1-n] == samples[len(samples)-1] {
		n++
	}
	return n
}

// FuzzMonitor holds the Monitor to the oracle, however the input is cut. Each
// input byte stands for a few equal samples, so that the fuzzer soon fills windows.
func FuzzMonitor(f *testing.F) {
	f.Add([]byte("a noise source"), uint8(60), uint8(20), uint8(7))
	f.Add(make([]byte, 40), uint8(20), uint8(40), uint8(1))
	f.Add(bytes.Repeat([]byte{1, 2, 1, 3}, 100), uint8(80), uint8(10), uint8(255))
	f.Fuzz(func(t *testing.T, in []byte, tenths, alphaLog2, cut uint8) {
		h, a := float64(tenths%80+1)/10, int(alphaLog2)%51+10
		var samples []byte
		for _, b := range in[:min(len(in), 1000)] {
			samples = append(samples, bytes.Repeat([]byte{b & 0x3f}, int(b>>6)+1)...)
		}
		want := oracle(samples, h, a)
		m := newMonitor(t, h, a)
		for range 2 { // the second time after Reset: nothing may be left over
			var err error
			for at := 0; at < len(samples) && err == nil; {
				n := min(1+int(cut), len(samples)-at)
				err = m.Test(samples[at : at+n])
				at += n
				if err == nil && m.Run() != runAtEnd(samples[:at]) {
					t.Fatalf("run %d after %d samples, want %d", m.Run(), at, runAtEnd(samples[:at]))
				}
			}
			var got *Failure
			if errors.As(err, &got) != (want != nil) || got != nil && *got != *want {
				t.Fatalf("h=%v alpha=2^-%d cut=%d: got %v, want %v", h, a, cut, err, want)
			}
			if got != nil && !errors.Is(m.Test([]byte{1, 2, 3}), got) {
				t.Fatal("the failure was forgotten")
			}
			m.Reset()
		}
	})
}
