package command

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"headgate/hostd/meter"
)

// tally is who read how much between two looks.
type tally struct {
	Seconds float64    `json:"seconds"` // between the two
	Since   time.Time  `json:"since"`   // what bytes and calls are counted from
	Ways    []wayTally `json:"ways"`
	Users   []reader   `json:"users"` // a row for each way that one has used
	Other   []flow     `json:"other"` // of who could not be told apart
	Notes   []string   `json:"notes"`
}

// flow is what went one way.
type flow struct {
	Way       meter.Way `json:"way"`
	Bytes     uint64    `json:"bytes"`
	Calls     uint64    `json:"calls"`
	BytesRate float64   `json:"bytes_per_second"`
	CallsRate float64   `json:"calls_per_second"`
}

// wayTally is all of one way, and how it is seen.
type wayTally struct {
	flow
	How      string `json:"how"`
	Function string `json:"function"`
	Why      string `json:"why,omitempty"`
	Missed   uint64 `json:"missed"`
}

// reader is what one process read one way.
type reader struct {
	PID     int    `json:"pid"`
	Process string `json:"process"`
	Cgroup  string `json:"cgroup"`
	QEMU    bool   `json:"qemu"`
	Domain  string `json:"domain,omitempty"`
	Vouched bool   `json:"vouched"`
	Gone    bool   `json:"gone"`
	flow
}

// who tells a row of one look from the others, to find it in the next. Those that ended
// have one row for each name, control group and domain, and word for it.
type who struct {
	pid                     int // 0 of those that ended
	process, cgroup, domain string
	qemu, vouched           bool // of those that ended: of one that lives it may come
	way                     meter.Way
}

func whoIs(u meter.User, way meter.Way) who {
	if u.Gone {
		return who{0, u.Process, u.Cgroup, u.Domain, u.QEMU, u.Vouched, way}
	}
	return who{u.PID, u.Process, u.Cgroup, u.Domain, false, false, way}
}

// figures are bytes and calls.
type figures struct{ bytes, calls uint64 }

func (f figures) plus(more figures) figures {
	return figures{f.bytes + more.bytes, f.calls + more.calls}
}

// less is what came since, nothing where the counter began anew.
func (f figures) less(before figures) figures {
	if f.bytes < before.bytes || f.calls < before.calls {
		return figures{}
	}
	return figures{f.bytes - before.bytes, f.calls - before.calls}
}

func tallied(before, after sight) tally {
	if !before.Meter.Since.Equal(after.Meter.Since) { // another hostd counts since
		before.Meter = meter.Reading{}
	}
	t := tally{Seconds: after.at.Sub(before.at).Seconds(), Since: after.Meter.Since, Ways: []wayTally{}, Users: []reader{}, Other: []flow{}, Notes: after.Meter.Notes}
	flowOf := func(way meter.Way, now, then figures) flow {
		came, f := now.less(then), flow{Way: way, Bytes: now.bytes, Calls: now.calls}
		if t.Seconds > 0 {
			f.BytesRate, f.CallsRate = float64(came.bytes)/t.Seconds, float64(came.calls)/t.Seconds
		}
		return f
	}
	ways := map[meter.Way]figures{}
	for _, w := range before.Meter.Ways {
		ways[w.Way] = figures{w.Bytes, w.Calls}
	}
	for _, w := range after.Meter.Ways {
		t.Ways = append(t.Ways, wayTally{flowOf(w.Way, figures{w.Bytes, w.Calls}, ways[w.Way]), w.How, w.Function, w.Why, w.Missed})
	}
	then, nameless := hadBefore(before.Meter.Users, after.Meter.Users)
	for _, u := range after.Meter.Users {
		for _, way := range meter.Ways() {
			if u.Calls[way] == 0 && u.Bytes[way] == 0 {
				continue
			}
			t.Users = append(t.Users, reader{u.PID, u.Process, u.Cgroup, u.QEMU, u.Domain, u.Vouched, u.Gone,
				flowOf(way, figures{u.Bytes[way], u.Calls[way]}, then[whoIs(u, way)])})
		}
	}
	for _, way := range meter.Ways() {
		if now, was := after.Meter.Other, before.Meter.Other; now.Calls[way] > 0 || now.Bytes[way] > 0 {
			t.Other = append(t.Other, flowOf(way, figures{now.Bytes[way], now.Calls[way]}, figures{was.Bytes[way], was.Calls[way]}.plus(nameless[way])))
		}
	}
	t.sort(byBytes)
	return t
}

// hadBefore finds what each row had at the look before. One that ended since is in the
// row of those that ended, with all that it ever read; or nameless, where they are too
// many.
func hadBefore(before, after []meter.User) (had map[who]figures, nameless map[meter.Way]figures) {
	there := map[who]bool{}
	for _, u := range after {
		for _, way := range meter.Ways() {
			there[whoIs(u, way)] = true
		}
	}
	had, nameless = map[who]figures{}, map[meter.Way]figures{}
	for _, u := range before {
		for _, way := range meter.Ways() {
			w, f := whoIs(u, way), figures{u.Bytes[way], u.Calls[way]}
			if !there[w] {
				ended := u
				ended.Gone = true
				w = whoIs(ended, way)
			}
			if there[w] {
				had[w] = had[w].plus(f)
			} else {
				nameless[way] = nameless[way].plus(f)
			}
		}
	}
	return had, nameless
}

// order is what rows are sorted by: a process's rows stay together.
type order string

const (
	byBytes   order = "bytes"
	byCalls   order = "calls"
	byProcess order = "process"
)

// key is a process, or those that ended under one name.
func (r reader) key() who {
	return whoIs(meter.User{PID: r.PID, Process: r.Process, Cgroup: r.Cgroup, QEMU: r.QEMU, Domain: r.Domain, Vouched: r.Vouched, Gone: r.Gone}, "")
}

func (t *tally) sort(by order) {
	type sum struct{ bytesRate, callsRate, bytes, calls float64 }
	sums := map[who]sum{}
	for _, r := range t.Users {
		s := sums[r.key()]
		sums[r.key()] = sum{s.bytesRate + r.BytesRate, s.callsRate + r.CallsRate, s.bytes + float64(r.Bytes), s.calls + float64(r.Calls)}
	}
	ways := meter.Ways()
	slices.SortStableFunc(t.Users, func(a, b reader) int {
		x, y := sums[a.key()], sums[b.key()]
		most := 0
		switch by {
		case byBytes:
			most = cmp.Or(cmp.Compare(y.bytesRate, x.bytesRate), cmp.Compare(y.callsRate, x.callsRate), cmp.Compare(y.bytes, x.bytes))
		case byCalls:
			most = cmp.Or(cmp.Compare(y.callsRate, x.callsRate), cmp.Compare(y.bytesRate, x.bytesRate), cmp.Compare(y.calls, x.calls))
		}
		return cmp.Or(most, strings.Compare(a.Process, b.Process), cmp.Compare(a.PID, b.PID), strings.Compare(a.Cgroup, b.Cgroup),
			cmp.Compare(slices.Index(ways, a.Way), slices.Index(ways, b.Way)))
	})
}
