package early

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Asker is what one process asked for in one way before the generator was ready.
type Asker struct {
	Process string `json:"process"`
	PID     int    `json:"pid"`
	Way     Way    `json:"way"`
	Flags   string `json:"flags,omitempty"` // of getrandom(2): nonblock, random, insecure

	Calls     int     `json:"calls"`
	Asked     uint64  `json:"asked_bytes"`
	Given     uint64  `json:"given_bytes"`
	Early     uint64  `json:"early_bytes"`         // of them, before the generator was ready
	Refused   int     `json:"refused_calls"`       // those that did not want to wait (EAGAIN)
	At        Seconds `json:"at_seconds"`          // the first
	Waited    Seconds `json:"waited_seconds"`      // the longest
	Unended   bool    `json:"unended,omitempty"`   // one of them had not returned when the trace ended
	AtLeast   bool    `json:"at_least,omitempty"`  // it was found waiting when the trace began: At is when that was
	Uncounted bool    `json:"uncounted,omitempty"` // what it asks for is not known
}

// Report is what a trace saw. Times are since the kernel's start, by the clock of its
// log.
type Report struct {
	Kernel string  `json:"kernel"`
	How    string  `json:"how,omitempty"` // fentry or kprobe; empty where nothing had to be attached
	From   Seconds `json:"from_seconds"`  // what was before is not seen
	Until  Seconds `json:"until_seconds"`

	Ready       bool    `json:"ready"`
	ReadyAt     Seconds `json:"ready_seconds,omitempty"` // 0 where nobody knows any more
	ReadyBefore bool    `json:"ready_before"`            // before the trace began

	Askers  []Asker  `json:"askers"` // the first first
	Logged  []Logged `json:"logged"` // before From, as the kernel's log has it
	Lost    uint64   `json:"lost_calls"`
	Notes   []string `json:"notes"`
	Verdict string   `json:"verdict"`
}

// maxRows bounds the report. What is beyond is one row more.
const maxRows = 256

// others is who did not fit.
const others = "(others)"

// seen is what a report is made of.
type seen struct {
	Report  // but for Askers and Verdict
	records []record
	open    []record // calls that have not ended: end is Until
	waiting []Asker  // since before From
	all     bool     // those after ready, too
}

// report makes one of what was seen.
func (s seen) report() Report {
	r := s.Report
	calls := joined(s.records)
	rows := make(map[record]*Asker) // by what is the same of one row
	var order []*Asker
	add := func(c record, unended bool) {
		if !s.all && r.Ready && c.start >= r.ReadyAt {
			return
		}
		key := record{pid: c.pid, way: c.way, flags: c.flags, process: c.process}
		row := rows[key]
		if row == nil && len(order) >= maxRows {
			key = record{process: others}
			row = rows[key]
		}
		if row == nil {
			row = &Asker{Process: key.process, PID: int(key.pid), Way: key.way, Flags: flagNames(key.flags), At: c.start}
			rows[key] = row
			order = append(order, row)
		}
		row.add(c, r.Ready && c.end >= r.ReadyAt)
		row.Unended = row.Unended || unended
	}
	for _, c := range calls {
		add(c, false)
	}
	for _, c := range s.open {
		add(c, true)
	}
	r.Askers = append([]Asker{}, s.waiting...)
	for _, row := range order {
		r.Askers = append(r.Askers, *row)
	}
	slices.SortStableFunc(r.Askers, func(a, b Asker) int { return cmp.Compare(a.At, b.At) })
	r.Logged, r.Notes = append([]Logged{}, r.Logged...), append([]string{}, r.Notes...) // in JSON never null
	r.Verdict = r.verdict()
	return r
}

// add counts one call.
func (a *Asker) add(c record, afterReady bool) {
	a.Calls++
	a.Waited = max(a.Waited, c.end-c.start)
	a.At = min(a.At, c.start)
	given := uint64(max(c.result, 0))
	a.Given += given
	if !afterReady {
		a.Early += given
	}
	if c.result == -eagain {
		a.Refused++
	}
	if c.asked == unknown {
		// A device gives what it is asked for, unless it gives nothing.
		a.Asked += given
		a.Uncounted = a.Uncounted || given == 0
	} else {
		a.Asked += c.asked
	}
}

// Errors as the kernel's functions return them (include/uapi/asm-generic/errno-base.h,
// include/linux/errno.h); the second has the call made again after a signal.
const (
	eagain      = 11
	erestartsys = 512
)

// joined is the calls by their start. One that a signal had made again is one.
func joined(records []record) []record {
	calls := slices.Clone(records)
	slices.SortStableFunc(calls, func(a, b record) int { return cmp.Compare(a.start, b.start) })
	cut := make(map[uint32]int) // by thread, where in the result its call that was cut short is
	out := calls[:0]
	for _, c := range calls {
		i, again := cut[c.tid]
		delete(cut, c.tid)
		if again && out[i].way == c.way && out[i].flags == c.flags && out[i].asked == c.asked {
			out[i].end, out[i].result = c.end, c.result
		} else {
			i = len(out)
			out = append(out, c)
		}
		if c.result == -erestartsys {
			cut[c.tid] = i
		}
	}
	return out
}

// waitOf is what a call takes at least that is said to have waited.
const waitOf = Seconds(10 * time.Millisecond)

// verdict is the report in one line.
func (r Report) verdict() string {
	switch {
	case r.ReadyBefore && r.ReadyAt == 0:
		return fmt.Sprintf("the generator was ready before this trace began at %s: nobody can have been too early after that", r.From)
	case r.ReadyBefore:
		return fmt.Sprintf("ready at %s, before this trace began at %s: nobody can have been too early after that", r.ReadyAt, r.From)
	}
	processes := make(map[int]bool)
	var asked, given uint64
	var longest Asker
	for _, a := range r.Askers {
		processes[a.PID] = true
		asked += a.Asked
		given += a.Early
		if a.Waited > longest.Waited {
			longest = a
		}
	}
	switch {
	case len(r.Askers) == 0 && r.Ready:
		return fmt.Sprintf("nobody was too early: the generator was ready at %s, and nobody had asked since %s", r.ReadyAt, r.From)
	case len(r.Askers) == 0:
		return fmt.Sprintf("nobody has asked yet, and the generator is not ready at %s", r.Until)
	}
	text := fmt.Sprintf("too early: %s asked for %s before the generator was ready at %s", count(len(processes), "process"), count(int(asked), "byte"), r.ReadyAt)
	if !r.Ready {
		text = fmt.Sprintf("too early: %s asked for %s, and the generator is not ready at %s", count(len(processes), "process"), count(int(asked), "byte"), r.Until)
	}
	switch {
	case longest.Waited < waitOf:
		text += "; nobody waited"
	case longest.AtLeast || longest.Unended:
		text += fmt.Sprintf("; the longest waited at least %s", longest.Waited)
	default:
		text += fmt.Sprintf("; the longest waited %s", longest.Waited)
	}
	if given > 0 {
		text += fmt.Sprintf("; %s given before it was", was(int(given)))
	}
	return text
}

func was(n int) string {
	if n == 1 {
		return "1 byte was"
	}
	return count(n, "byte") + " were"
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if strings.HasSuffix(noun, "s") {
		noun += "e"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
