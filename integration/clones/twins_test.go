//go:build linux

package clones

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"
)

// call is one of a test: its output is of one byte.
func call(before, after time.Duration, output byte) Call {
	return Call{Before: before, After: after, Output: [16]byte{output}}
}

func TestCompare(t *testing.T) {
	memory := []Call{call(1, 2, 1), call(2, 3, 2), call(3, 4, 3)}
	with := func(more ...Call) []Call { return append(append([]Call(nil), memory...), more...) }
	for _, tc := range []struct {
		name  string
		a, b  [][]Call
		want  Twins
		still bool
	}{
		{
			name: "they differ from the first call on",
			a:    [][]Call{with(call(10, 20, 4), call(20, 30, 5))},
			b:    [][]Call{with(call(11, 21, 6), call(21, 41, 7))},
			want: Twins{Calls: [2]int{2, 2}, Watched: [2]time.Duration{20, 30}},
		},
		{
			name: "two equal outputs, and then none",
			a:    [][]Call{with(call(10, 20, 4), call(20, 30, 5), call(30, 40, 6))},
			b:    [][]Call{with(call(11, 31, 4), call(31, 32, 5), call(32, 60, 7))},
			want: Twins{Equal: 2, Until: [2]time.Duration{20, 21}, Calls: [2]int{3, 3}, Watched: [2]time.Duration{30, 49}},
		},
		{
			name: "a call under way is counted apart",
			a:    [][]Call{with(call(4, 20, 4), call(20, 30, 5))},
			b:    [][]Call{with(call(4, 21, 4), call(21, 41, 7))},
			want: Twins{Flight: 1, Repeated: 1, Calls: [2]int{1, 1}, Watched: [2]time.Duration{10, 20}},
		},
		{
			name: "a call under way that gave something else",
			a:    [][]Call{with(call(4, 20, 4), call(20, 30, 5))},
			b:    [][]Call{with(call(4, 21, 6), call(21, 41, 7))},
			want: Twins{Flight: 1, Calls: [2]int{1, 1}, Watched: [2]time.Duration{10, 20}},
		},
		{
			name: "one thread's output is the other's",
			a:    [][]Call{with(call(10, 20, 4)), with(call(12, 22, 5))},
			b:    [][]Call{with(call(10, 21, 5)), with(call(10, 31, 6))},
			want: Twins{Flight: 1, Equal: 0, Calls: [2]int{1, 1}, Watched: [2]time.Duration{10, 21}},
		},
		{
			name:  "equal across threads",
			a:     [][]Call{with(call(10, 20, 4)), with(call(12, 22, 5))},
			b:     [][]Call{with(call(11, 21, 5)), with(call(10, 31, 6))},
			want:  Twins{Equal: 1, Until: [2]time.Duration{12, 11}, Calls: [2]int{2, 2}, Watched: [2]time.Duration{12, 21}},
			still: true,
		},
		{
			name:  "one ring has gone round further",
			a:     [][]Call{with(call(10, 20, 4))[1:]},
			b:     [][]Call{with(call(11, 12, 4))},
			want:  Twins{Equal: 1, Until: [2]time.Duration{10, 1}, Calls: [2]int{1, 1}, Watched: [2]time.Duration{10, 1}},
			still: true,
		},
	} {
		got, err := Compare(tc.a, tc.b)
		if err != nil || got != tc.want {
			t.Errorf("%s: %+v, %v; want %+v", tc.name, got, err, tc.want)
		}
		if got.Still() != tc.still {
			t.Errorf("%s: equal still: %t", tc.name, got.Still())
		}
	}
	for name, tc := range map[string][2][][]Call{
		"no threads":           {nil, nil},
		"threads do not match": {{memory}, {memory, memory}},
		"no record":            {{memory}, {nil}},
		"overwritten":          {{{call(10, 20, 4)}}, {{call(11, 21, 4)}}},
		"nothing after":        {{memory}, {memory}},
	} {
		if got, err := Compare(tc[0], tc[1]); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestParse(t *testing.T) {
	var data []byte
	for _, calls := range [][]Call{{call(1, 2, 3), call(2, 5, 4)}, nil, {call(7, 8, 9)}} {
		data = binary.LittleEndian.AppendUint64(data, uint64(len(calls)))
		for _, c := range calls {
			data = binary.LittleEndian.AppendUint64(data, uint64(c.Before))
			data = binary.LittleEndian.AppendUint64(data, uint64(c.After))
			data = append(data, c.Output[:]...)
		}
	}
	threads, err := Parse(data)
	if err != nil || len(threads) != 3 || len(threads[0]) != 2 || threads[0][1] != call(2, 5, 4) || len(threads[1]) != 0 || threads[2][0] != call(7, 8, 9) {
		t.Fatalf("%v, %v", threads, err)
	}
	for n := range data {
		if threads, err := Parse(data[:n]); err == nil {
			if len(threads) == 3 {
				t.Errorf("cut to %d bytes: %v", n, threads)
			}
		} else if !errors.Is(err, errCut) {
			t.Error(err)
		}
	}
	if _, err := Parse([]byte{255, 255, 255, 255, 255, 255, 255, 255}); !errors.Is(err, errCut) {
		t.Errorf("more records than bytes: %v", err)
	}
}
