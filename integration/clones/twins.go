//go:build linux

package clones

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Call is one call of the spinner's, by the guest's CLOCK_MONOTONIC.
type Call struct {
	Before, After time.Duration
	Output        [16]byte
}

// recordSize is that of a call in the spinner's output (spinner/spinner.c).
const recordSize = 32

// errCut means that the spinner's output is not whole.
var errCut = errors.New("the spinner's output is cut")

// Parse reads the spinner's output: of each thread its calls.
func Parse(data []byte) ([][]Call, error) {
	var threads [][]Call
	for len(data) > 0 {
		if len(data) < 8 {
			return nil, errCut
		}
		n := binary.LittleEndian.Uint64(data)
		data = data[8:]
		if n > uint64(len(data)/recordSize) {
			return nil, errCut
		}
		calls := make([]Call, n)
		for i := range calls {
			c := data[i*recordSize:]
			calls[i] = Call{Before: time.Duration(binary.LittleEndian.Uint64(c)), After: time.Duration(binary.LittleEndian.Uint64(c[8:]))}
			copy(calls[i].Output[:], c[16:])
		}
		threads, data = append(threads, calls), data[n*recordSize:]
	}
	return threads, nil
}

// Twins is how two clones of one saved state compare.
type Twins struct {
	Equal    int              // outputs after the resume that both had
	Flight   int              // calls that were begun before the save and ended after the resume, of both
	Repeated int              // of those, outputs that both had: they may be of before the save
	Until    [2]time.Duration // of each, from its resume to the end of its last call that gave such an output
	Calls    [2]int           // of each, after the resume
	Watched  [2]time.Duration // for how long
}

// Rate is how many calls each of the spinner's threads made in a second.
func (t Twins) Rate(threads int) float64 {
	return float64(t.Calls[0]+t.Calls[1]) / (t.Watched[0] + t.Watched[1]).Seconds() / float64(threads)
}

// Differ is when the slower of the two began to differ.
func (t Twins) Differ() time.Duration { return max(t.Until[0], t.Until[1]) }

// Still says whether the clones' last calls gave equal outputs still: they have not
// begun to differ while they were watched.
func (t Twins) Still() bool { return t.Until[0] == t.Watched[0] || t.Until[1] == t.Watched[1] }

// Compare compares what the spinner recorded in two clones. What both have with the
// same times was in memory when the state was saved; no time of after that is the
// same, by a clock of nanoseconds. A call that was begun at the same time and ended
// at another was under way: what it gives may have been made before the save, which
// nothing can change that comes after.
func Compare(a, b [][]Call) (Twins, error) {
	var t Twins
	if len(a) != len(b) || len(a) == 0 {
		return t, fmt.Errorf("%d threads in one clone, %d in the other", len(a), len(b))
	}
	after := [2][]Call{}
	for i := range a {
		x, y, err := resumed(a[i], b[i])
		if err != nil {
			return t, fmt.Errorf("thread %d: %w", i, err)
		}
		if len(x) > 0 && len(y) > 0 && x[0].Before == y[0].Before {
			t.Flight++
			if x[0].Output == y[0].Output {
				t.Repeated++
			}
			x, y = x[1:], y[1:]
		}
		after[0], after[1] = append(after[0], x...), append(after[1], y...)
	}
	var ends [2]map[[16]byte]time.Duration
	var begun [2]time.Duration
	for i, calls := range after {
		if len(calls) == 0 {
			return t, errors.New("a clone made no call after it was resumed")
		}
		first := slices.MinFunc(calls, func(x, y Call) int { return int(x.Before - y.Before) })
		last := slices.MaxFunc(calls, func(x, y Call) int { return int(x.After - y.After) })
		begun[i], t.Calls[i], t.Watched[i] = first.Before, len(calls), last.After-first.Before
		ends[i] = make(map[[16]byte]time.Duration, len(calls))
		for _, c := range calls {
			ends[i][c.Output] = c.After
		}
	}
	for output, end := range ends[0] {
		other, both := ends[1][output]
		if !both {
			continue
		}
		t.Equal++
		t.Until[0] = max(t.Until[0], end-begun[0])
		t.Until[1] = max(t.Until[1], other-begun[1])
	}
	return t, nil
}

// resumed takes off what two clones' records of one thread have in common: the calls
// that ended before the save.
func resumed(a, b []Call) (x, y []Call, err error) {
	if len(a) == 0 || len(b) == 0 {
		return nil, nil, errors.New("no call was recorded")
	}
	// The older of the two beginnings may have been overwritten in the other.
	from := max(a[0].Before, b[0].Before)
	at := func(calls []Call) []Call {
		i, _ := slices.BinarySearchFunc(calls, from, func(c Call, t time.Duration) int { return int(c.Before - t) })
		return calls[i:]
	}
	a, b = at(a), at(b)
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	if n == 0 {
		return nil, nil, errors.New("nothing of before the save is left: more records are wanted")
	}
	return a[n:], b[n:], nil
}
