//go:build linux

package main

import (
	"fmt"
	"strings"
	"time"

	"headgate/integration/load"
)

// wanted is what dd(1) is to take with the meter at most, of what it takes without.
var wanted = map[string]float64{fentry: 1.05}

func took(t turn) time.Duration { return t.Took }
func cpu(t turn) time.Duration  { return t.CPU }

// spread is a median with its quartiles.
type spread struct{ low, median, high float64 }

func spreadOf(pairs []pair, of func(pair) float64) spread {
	all := make([]float64, len(pairs))
	for i, p := range pairs {
		all[i] = of(p)
	}
	return spread{load.Quantile(all, 0.25), load.Quantile(all, 0.5), load.Quantile(all, 0.75)}
}

// ratio is that of the two turns of one pair, with the meter and without: the machine's own
// changes, which are slower than a pair, are not in it.
func ratio(pairs []pair, of func(turn) time.Duration) spread {
	return spreadOf(pairs, func(p pair) float64 { return of(p.With).Seconds() / of(p.Without).Seconds() })
}

// more is what one call takes more, in nanoseconds.
func more(pairs []pair, calls int, of func(turn) time.Duration) spread {
	return spreadOf(pairs, func(p pair) float64 { return float64(of(p.With)-of(p.Without)) / float64(calls) })
}

// without is what one call takes when nobody looks, in nanoseconds.
func without(pairs []pair, calls int, of func(turn) time.Duration) spread {
	return spreadOf(pairs, func(p pair) float64 { return float64(of(p.Without)) / float64(calls) })
}

func heading(pairs int) string {
	return fmt.Sprintf("\nreading with hostd's meter, as a multiple of reading without, %d pairs in turns: medians of the ratios within a pair (quartiles)\n", pairs)
}

// report is what is printed of one kernel.
func (f figures) report() string {
	var t strings.Builder
	fmt.Fprintf(&t, "Linux %s, by %s\n", f.Kernel, f.How)
	line := func(what string, s spread, suffix string) {
		fmt.Fprintf(&t, "  %-72s %.3f (%.3f to %.3f)%s\n", what, s.median, s.low, s.high, suffix)
	}
	suffix := ""
	if most, is := wanted[f.How]; is {
		suffix = fmt.Sprintf(", at most %v", most)
	}
	line(f.Command, ratio(f.DD, took), suffix)
	line("its processor time", ratio(f.DD, cpu), "")
	line(fmt.Sprintf("%d getrandom(2) of %d bytes, one after the other", f.Calls, small), ratio(f.Call, took), "")
	for _, of := range []struct {
		what  string
		pairs []pair
		calls int
	}{{fmt.Sprintf("a read of %d bytes", block), f.DD, f.Reads}, {fmt.Sprintf("a getrandom of %d", small), f.Call, f.Calls}} {
		base, add := without(of.pairs, of.calls, took), more(of.pairs, of.calls, took)
		fmt.Fprintf(&t, "  %-72s %.0f ns, and %.0f ns more (%.0f to %.0f)\n", of.what, base.median, add.median, add.low, add.high)
	}
	return t.String()
}
