//go:build linux

package main

import (
	"fmt"
	"strings"
	"time"

	"headgate/integration/load"
)

// figures are all turns of all devices.
type figures struct {
	names   []string
	samples map[string][]sample // by round
}

// wanted are the ratios that there are to be at least, of the rates under emulation.
var wanted = []struct {
	of, to string
	least  float64
}{
	{ours, trivial, 1.3},
	{ours, builtin, 0.8},
	{ours, theirs, 1.1},
	{pipe, trivial, 0.95},
}

// ratio is the median of the ratios of the two devices' rates in one round, and the
// quartiles of them: the machine's own changes, which are slower than a round, are in
// neither.
func (f figures) ratio(of, to string) (low, median, high float64) {
	all := make([]float64, len(f.samples[of]))
	for round, s := range f.samples[of] {
		all[round] = s.rate() / f.samples[to][round].rate()
	}
	return load.Quantile(all, 0.25), load.Quantile(all, 0.5), load.Quantile(all, 0.75)
}

// rate is the median rate, in bytes a second.
func (f figures) rate(name string) float64 {
	var all []float64
	for _, s := range f.samples[name] {
		all = append(all, s.rate())
	}
	return load.Quantile(all, 0.5)
}

// cost is the processor time of a megabyte, of all rounds together.
func (f figures) cost(name string, of func(sample) time.Duration) float64 {
	var spent time.Duration
	var bytes float64
	for _, s := range f.samples[name] {
		spent += of(s)
		bytes += s.bytes
	}
	return spent.Seconds() / (bytes / 1e6)
}

func server(s sample) time.Duration { return s.server }
func qemu(s sample) time.Duration   { return s.qemu }

// has says whether a device was measured.
func (f figures) has(name string) bool { return len(f.samples[name]) > 0 }

// report is what is printed, with what is wanted in brackets.
func (f figures) report(turn time.Duration) string {
	var t strings.Builder
	fmt.Fprintf(&t, "\n/dev/hwrng of one guest with all the devices, %d rounds of %v each, in turns\n", len(f.samples[builtin]), turn)
	fmt.Fprintf(&t, "  %-30s %6s   %-14s   %s\n", "", "kB/s", "of rng-builtin", "CPU s/MB of the server, of QEMU")
	for _, name := range f.names {
		_, ratio, _ := f.ratio(name, builtin)
		cost := "     –"
		if f.cost(name, server) > 0 {
			cost = fmt.Sprintf("%6.2f", f.cost(name, server))
		}
		fmt.Fprintf(&t, "  %-30s %6.0f   %14.2f   %s  %6.2f\n", name, f.rate(name)/1e3, ratio, cost, f.cost(name, qemu))
	}
	t.WriteString("  medians of the ratios within a round (quartiles); the machine is emulated, on KVM they are others\n")
	for _, w := range wanted {
		if f.has(w.of) && f.has(w.to) {
			low, median, high := f.ratio(w.of, w.to)
			fmt.Fprintf(&t, "  %-64s %.2f, %.2f to %.2f (at least %v)\n", w.of+" / "+w.to, median, low, high, w.least)
		}
	}
	if f.has(ours) && f.has(theirs) {
		fmt.Fprintf(&t, "  CPU of hostd's vhost-user for that of vhost-device-rng            %.2f (at most 1)\n", f.cost(ours, server)/f.cost(theirs, server))
	}
	return t.String()
}
