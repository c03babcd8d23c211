//go:build linux

package main

import (
	"strings"
	"testing"
	"time"
)

// each is a pair of turns that took so long.
func each(without, with time.Duration) pair {
	return pair{Without: turn{Took: without, CPU: without}, With: turn{Took: with, CPU: 2 * with}}
}

// The machine is ten times as slow in the second pair, and something disturbs the last.
func TestRatiosAreOfOnePair(t *testing.T) {
	pairs := []pair{each(100, 102), each(1000, 1040), each(100, 103), each(100, 101), each(100, 900)}
	if r := ratio(pairs, took); r.median != 1.03 || r.low != 1.02 || r.high != 1.04 {
		t.Errorf("%+v, want 1.03, 1.02 to 1.04", r)
	}
	if r := ratio(pairs, cpu); r.median != 2.06 {
		t.Errorf("%+v of the processor time, want 2.06", r)
	}
	if m := more(pairs, 10, took); m.median != 0.3 {
		t.Errorf("%+v ns more for a call, want 0.3", m)
	}
}

func TestReport(t *testing.T) {
	f := figures{
		How: fentry, Kernel: "6.1.0", Command: "dd bs=4k", Reads: 1000, Calls: 100,
		DD:   []pair{each(time.Millisecond, 1100*time.Microsecond)},
		Call: []pair{each(20*time.Microsecond, 50*time.Microsecond)},
	}
	text := f.report()
	for _, want := range []string{
		"Linux 6.1.0, by fentry\n", "1.100 (1.100 to 1.100), at most 1.05\n", "2.500 (2.500 to 2.500)\n",
		"1000 ns, and 100 ns more (100 to 100)\n", "200 ns, and 300 ns more (300 to 300)\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	f.How = kprobe
	if text := f.report(); strings.Contains(text, "at most") {
		t.Errorf("something is wanted of kprobes in\n%s", text)
	}
}

// A turn is filled, and however slow a machine is there are enough of them.
func TestFill(t *testing.T) {
	if n := fill(turn{Took: 10 * time.Millisecond}, time.Second); n != 100_000 {
		t.Errorf("%d, want 100000", n)
	}
	if n := fill(turn{Took: time.Hour}, time.Second); n != enough {
		t.Errorf("%d, want %d", n, enough)
	}
}
