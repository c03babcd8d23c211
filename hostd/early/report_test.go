package early

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

const second = Seconds(time.Second)

// call is a record of process p<pid> whose thread is its first.
func call(pid uint32, way Way, flags uint32, asked uint64, result int64, start, end float64) record {
	return record{start: Seconds(start * float64(second)), end: Seconds(end * float64(second)), asked: asked, result: result,
		pid: pid, tid: pid, flags: flags, way: way, process: fmt.Sprint("p", pid)}
}

// between is a trace of a generator that was ready at 4 s.
func between() seen {
	return seen{Report: Report{From: 2 * second, Until: 5 * second, Ready: true, ReadyAt: 4 * second}}
}

func TestReport(t *testing.T) {
	s := between()
	s.records = []record{
		call(7, Getrandom, 0, 32, 32, 3, 4.2),
		call(1, Getrandom, grndInsecure, 16, 16, 2.5, 2.6), // the second, by when it came
		call(1, Getrandom, grndInsecure, 8, 8, 2.1, 2.2),
		call(1, Getrandom, grndNonblock, 8, -eagain, 2.1, 2.1),
		call(9, Urandom, 0, unknown, 64, 3.5, 3.6),
		call(9, Random, 0, unknown, -eagain, 3.7, 3.7),
		call(8, Getrandom, 0, 99, 99, 4, 4.1), // not too early
		call(8, Getrandom, 0, 99, 99, 4.3, 4.4),
	}
	s.open = []record{call(6, Random, 0, 5, 0, 3.9, 5)}
	s.waiting = []Asker{{Process: "w", PID: 3, Way: Getrandom, Calls: 1, Asked: 24, At: 2 * second, AtLeast: true, Waited: 2 * second}}
	r := s.report()
	at := func(f float64) Seconds { return Seconds(f * float64(second)) }
	want := []Asker{
		s.waiting[0],
		{Process: "p1", PID: 1, Way: Getrandom, Flags: "insecure", Calls: 2, Asked: 24, Given: 24, Early: 24, At: at(2.1), Waited: at(2.6) - at(2.5)},
		{Process: "p1", PID: 1, Way: Getrandom, Flags: "nonblock", Calls: 1, Asked: 8, Refused: 1, At: at(2.1)},
		{Process: "p7", PID: 7, Way: Getrandom, Calls: 1, Asked: 32, Given: 32, At: 3 * second, Waited: at(4.2) - at(3)},
		{Process: "p9", PID: 9, Way: Urandom, Calls: 1, Asked: 64, Given: 64, Early: 64, At: at(3.5), Waited: at(3.6) - at(3.5)},
		{Process: "p9", PID: 9, Way: Random, Calls: 1, Refused: 1, Uncounted: true, At: at(3.7)},
		{Process: "p6", PID: 6, Way: Random, Calls: 1, Asked: 5, At: at(3.9), Waited: at(5) - at(3.9), Unended: true},
	}
	for i, w := range want {
		if i >= len(r.Askers) || r.Askers[i] != w {
			t.Fatalf("row %d of\n%+v\nis not\n%+v", i, r.Askers, w)
		}
	}
	if len(r.Askers) != len(want) {
		t.Errorf("%+v", r.Askers[len(want):])
	}
	if want := "too early: 5 processes asked for 157 bytes before the generator was ready at 4.00 s; the longest waited at least 2.00 s; 88 bytes were given before it was"; r.Verdict != want {
		t.Errorf("%s\nwant\n%s", r.Verdict, want)
	}
}

func TestVerdict(t *testing.T) {
	one := between()
	one.records = []record{call(7, Getrandom, 0, 1, 1, 3, 4.2)}
	never := between()
	never.Ready, never.ReadyAt = false, 0
	waits := never
	waits.open = []record{call(7, Getrandom, 0, 32, 0, 3, 5)}
	refused := between()
	refused.records = []record{call(7, Getrandom, grndNonblock, 0, -eagain, 3, 3)}
	before := between()
	before.ReadyBefore, before.ReadyAt = true, second
	forgotten := before
	forgotten.ReadyAt = 0
	for want, s := range map[string]seen{
		"too early: 1 process asked for 1 byte before the generator was ready at 4.00 s; the longest waited 1.20 s":             one,
		"too early: 1 process asked for 32 bytes, and the generator is not ready at 5.00 s; the longest waited at least 2.00 s": waits,
		"too early: 1 process asked for 0 bytes before the generator was ready at 4.00 s; nobody waited":                        refused,
		"nobody was too early: the generator was ready at 4.00 s, and nobody had asked since 2.00 s":                            between(),
		"nobody has asked yet, and the generator is not ready at 5.00 s":                                                        never,
		"ready at 1.00 s, before this trace began at 2.00 s: nobody can have been too early after that":                         before,
		"the generator was ready before this trace began at 2.00 s: nobody can have been too early after that":                  forgotten,
	} {
		if got := s.report().Verdict; got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	}
}

// A signal has a call made again: that is one call, of one thread.
func TestInterrupted(t *testing.T) {
	s := between()
	s.records = []record{
		call(7, Getrandom, 0, 32, -erestartsys, 3, 3.2),
		call(7, Getrandom, 0, 32, -erestartsys, 3.3, 3.4),
		call(8, Getrandom, 0, 32, -erestartsys, 3.3, 3.4), // its signal ended it
		call(7, Getrandom, 0, 32, 32, 3.5, 4.5),
		call(7, Getrandom, 0, 32, 32, 3.6, 4.5),
		call(9, Getrandom, 0, 32, -erestartsys, 3.6, 3.7),
		call(9, Getrandom, 0, 16, 16, 3.8, 4.1), // another one
	}
	r := s.report()
	var got []string
	for _, a := range r.Askers {
		got = append(got, fmt.Sprintf("%d: %d calls, %d asked, %d given, %s", a.PID, a.Calls, a.Asked, a.Given, a.Waited))
	}
	want := []string{"7: 2 calls, 64 asked, 64 given, 1.50 s", "8: 1 calls, 32 asked, 0 given, 0.10 s", "9: 2 calls, 48 asked, 16 given, 0.30 s"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q\nwant\n%q", got, want)
	}
}

// However many ask, the report is bounded, and nothing is left out of its sums.
func TestMany(t *testing.T) {
	s := between()
	for pid := range uint32(2 * maxRows) {
		s.records = append(s.records, call(pid+1, Getrandom, 0, 10, 10, 3, 4.1))
	}
	r := s.report()
	var asked uint64
	for _, a := range r.Askers {
		asked += a.Asked
	}
	last := r.Askers[len(r.Askers)-1]
	if len(r.Askers) != maxRows+1 || asked != 2*maxRows*10 || last.Process != others || last.Calls != maxRows {
		t.Errorf("%d rows, %d bytes, %+v", len(r.Askers), asked, last)
	}
}

func TestJSON(t *testing.T) {
	s := between()
	s.records = []record{call(7, Getrandom, 0, 32, 32, 3.000001, 4.2)}
	text, err := json.Marshal(s.report())
	if err != nil {
		t.Fatal(err)
	}
	var again Report
	if err := json.Unmarshal(text, &again); err != nil || !reflect.DeepEqual(again, s.report()) {
		t.Errorf("%v: %+v\nof %s", err, again, text)
	}
	empty, err := json.Marshal(between().report())
	if err != nil || strings.Contains(string(empty), "null") {
		t.Errorf("%v: %s", err, empty)
	}
}

func TestParseRecord(t *testing.T) {
	b := make([]byte, recordSize)
	order := binary.NativeEndian
	order.PutUint64(b, 1)
	order.PutUint64(b[8:], 2)
	order.PutUint64(b[16:], 3)
	order.PutUint64(b[24:], ^uint64(0)) // -1
	order.PutUint64(b[32:], 5<<32|6)
	order.PutUint32(b[40:], 7)
	order.PutUint32(b[44:], 3)
	copy(b[48:], "name\x00old")
	r, err := parseRecord(b)
	if want := (record{start: 1, end: 2, asked: 3, result: -1, pid: 5, tid: 6, flags: 7, way: Urandom, process: "name"}); err != nil || r != want {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := parseRecord(b[1:]); err == nil {
		t.Error("half a record")
	}
	if _, err := parseOpen(b[:callSize], b[:askedSize-1]); err == nil {
		t.Error("half a call")
	}
}
