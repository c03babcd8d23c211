//go:build linux

package main

import (
	"strings"
	"time"
)

const (
	window  = 2 * time.Second // over which the present rate is taken
	columns = 24              // of a sparkline, one a second
)

// flow turns a growing count into a present rate and a history of rates.
type flow struct {
	points  []point
	history []float64 // bytes/s, one for each second
	next    time.Time // when history gets its next
	last    uint64    // count when it got the one before
}

type point struct {
	at    time.Time
	count uint64
}

func (f *flow) add(at time.Time, count uint64) {
	if f.next.IsZero() {
		f.next, f.last = at.Add(time.Second), count
	}
	f.points = append(f.points, point{at, count})
	for len(f.points) > 2 && at.Sub(f.points[1].at) >= window {
		f.points = f.points[1:]
	}
	if over := at.Sub(f.next); over >= 0 {
		seconds := (time.Second + over).Seconds()
		f.history = append(f.history, float64(count-f.last)/seconds)
		f.history = f.history[max(0, len(f.history)-columns):]
		f.next, f.last = at.Add(time.Second), count
	}
}

// rate is bytes/s over the window.
func (f *flow) rate() float64 {
	if len(f.points) < 2 {
		return 0
	}
	first, last := f.points[0], f.points[len(f.points)-1]
	seconds := last.at.Sub(first.at).Seconds()
	if seconds <= 0 || last.count < first.count {
		return 0
	}
	return float64(last.count-first.count) / seconds
}

var levels = []rune("▁▂▃▄▅▆▇█")

// sparkline draws rates as a row of small bars, full being the tallest.
func sparkline(history []float64, full float64) string {
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", columns-len(history)))
	for _, v := range history {
		i := 0
		if full > 0 {
			i = min(len(levels)-1, max(0, int(v/full*float64(len(levels)-1)+0.5)))
		}
		b.WriteRune(levels[i])
	}
	return b.String()
}

// bar draws a share of 0 to 1 over so many columns.
func bar(share float64, width int) (full, empty string) {
	n := min(width, max(0, int(share*float64(width)+0.5)))
	return strings.Repeat("█", n), strings.Repeat("░", width-n)
}
