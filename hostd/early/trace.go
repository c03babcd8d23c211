//go:build linux

package early

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"headgate/hostd/kernel"
	"headgate/hostd/probe"
)

const (
	// settle is how long it may take, once the generator is ready, until those who
	// waited for it have what they asked for.
	settle = 2 * time.Second
	// logPatience is how long the kernel's word of it may take to be in its log.
	logPatience = time.Second
	// maxRecords bounds what is kept. The others are counted.
	maxRecords = 1 << 16
)

// Options of Trace.
type Options struct {
	For      time.Duration // the longest that it takes
	Attached func()        // called when everything is seen from now on, or nothing has to be

	all     bool            // who asks of a generator that is ready is too early, too
	by      []probe.Options // not kprobesFirst, but these
	learned func()          // called when it is seen what is asked of the devices, too
}

// Trace looks until the generator is ready and those who waited for it have been served,
// or until ctx or the time is over. There is a report unless nothing can be seen here.
func Trace(ctx context.Context, o Options) (Report, error) {
	if o.by == nil {
		o.by = kprobesFirst
	}
	if err := mounted(); err != nil {
		return Report{}, err
	}
	g, err := openGenerator()
	if err != nil {
		return Report{}, err
	}
	defer g.close()
	was, err := g.ready()
	if err != nil {
		return Report{}, err
	}
	t := trace{options: o, generator: g, seen: seen{all: o.all}}
	t.Kernel = kernel.Release()
	if !was || o.all {
		if t.tracer, err = attach(o.by); err != nil {
			return Report{}, fmt.Errorf("who asks for randomness cannot be seen here: %w", err)
		}
		defer t.tracer.close()
		t.How = t.tracer.how
		t.Notes = append(t.Notes, t.tracer.unseen...)
	}
	if o.Attached != nil {
		o.Attached()
	}
	if t.log, err = openLog(); err != nil {
		t.note("the kernel's log, which alone knows when the generator was ready, cannot be read: %v", err)
	} else {
		defer t.log.close()
	}
	t.begin()
	if t.tracer == nil {
		t.Ready, t.ReadyBefore, t.ReadyAt, t.Until = true, true, t.backlog.ready, t.From
		return t.report(), nil
	}
	t.run(ctx)
	return t.report(), nil
}

// trace is one that runs.
type trace struct {
	seen
	options   Options
	generator *generator
	log       *kernelLog // nil: cannot be read
	backlog   backlog
	tracer    *tracer
	behind    Seconds // how far the log's clock is behind boottime
}

func (t *trace) note(format string, args ...any) {
	t.Notes = append(t.Notes, fmt.Sprintf(format, args...))
}

// now is by the clock of the kernel's log.
func (t *trace) now() Seconds {
	now, err := boottime()
	if err != nil {
		return 0 // there is such a clock since Linux 2.6.39
	}
	return now - t.behind
}

// begin says when everything is seen from: now, or a little earlier. A line in the
// kernel's log tells that, too, and what its clock is against ours: it starts earlier, by
// what the kernel does before it keeps time.
func (t *trace) begin() {
	began, marked := writeMark()
	if t.log != nil {
		var err error
		if t.backlog, err = t.log.readBacklog(); err != nil {
			t.note("of the kernel's log only a part could be read: %v", err)
		}
	}
	if marked && t.backlog.mark != 0 {
		t.behind = began - t.backlog.mark
	}
	t.From = began - t.behind
	for _, l := range t.backlog.logged {
		if l.At < t.From {
			t.Logged = append(t.Logged, l)
		}
	}
}

func (t *trace) run(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, t.options.For)
	defer cancel()

	records := make(chan record)
	go func() {
		defer close(records)
		t.tracer.read(func(r record) { records <- r })
	}()
	ready := make(chan Seconds, 1)
	waited := make(chan struct{})
	go func() {
		defer close(waited)
		if err := t.generator.wait(); err == nil {
			ready <- t.whenReady()
		}
	}()
	stop := context.AfterFunc(ctx, t.generator.stop)
	defer stop()

	before, looked := waitingNow("/proc"), t.now()
	if err := t.tracer.learn(); err != nil {
		t.note("%v", err)
	}
	if t.options.learned != nil {
		t.options.learned()
	}
	t.until(ctx, records, ready)

	// First what has not ended, then what has: nothing is in neither.
	open := t.tracer.open()
	t.tracer.flush()
	for r := range records {
		t.keep(r)
	}
	t.generator.stop()
	if t.log != nil {
		t.log.stop()
	}
	<-waited
	t.Until = t.now()
	t.Lost += t.tracer.lost()
	t.unended(open)
	t.found(before, looked)
}

// until keeps records until there is nothing more to see.
func (t *trace) until(ctx context.Context, records <-chan record, ready <-chan Seconds) {
	if t.options.all {
		ready = nil
	}
	var settled <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-settled:
			return
		case r, ok := <-records:
			if !ok {
				return
			}
			t.keep(r)
		case t.ReadyAt = <-ready:
			t.Ready, t.ReadyBefore = true, t.ReadyAt < t.From
			timer := time.NewTimer(settle)
			defer timer.Stop()
			settled = timer.C
		}
		if t.Ready && !t.someoneWaits() {
			return
		}
	}
}

// whenReady is when the generator was, which it is.
func (t *trace) whenReady() Seconds {
	now := t.now()
	switch {
	case t.log == nil:
		return now
	case t.backlog.ready != 0: // while it was read
		return t.backlog.ready
	}
	impatient := time.AfterFunc(logPatience, t.log.stop)
	defer impatient.Stop()
	if at, err := t.log.awaitReady(); err == nil {
		return at
	}
	return now
}

// someoneWaits says whether a call from before the generator was ready has not ended.
func (t *trace) someoneWaits() bool {
	for _, r := range t.tracer.open() {
		if r.start-t.behind < t.ReadyAt {
			return true
		}
	}
	return false
}

func (t *trace) keep(r record) {
	r.start -= t.behind
	r.end -= t.behind
	switch {
	case t.Ready && r.start >= t.ReadyAt && !t.all:
	case len(t.records) == maxRecords:
		t.Lost++
	default:
		t.records = append(t.records, r)
	}
}

// unended is the calls that had not ended, but for those that have meanwhile.
func (t *trace) unended(open []record) {
	type call struct {
		tid   uint32
		start Seconds
	}
	ended := make(map[call]bool)
	for _, r := range t.records {
		ended[call{r.tid, r.start}] = true
	}
	for _, r := range open {
		r.start -= t.behind
		r.end = t.Until
		if r.process = comm(r.pid, r.tid); !ended[call{r.tid, r.start}] {
			t.open = append(t.open, r)
		}
	}
}

// found is those who waited when the trace began, but for those whom it had seen come
// when it looked.
func (t *trace) found(before []found, looked Seconds) {
	came := make(map[int]bool)
	for _, calls := range [][]record{t.open, t.records} {
		for _, r := range calls {
			came[int(r.tid)] = came[int(r.tid)] || r.start <= looked
		}
	}
	for _, f := range before {
		if came[f.tid] {
			continue
		}
		a := f.asker(t.From)
		a.Waited = t.Until - t.From
		if t.Ready {
			a.Waited = max(t.ReadyAt-t.From, 0)
		}
		t.waiting = append(t.waiting, a)
	}
}

// comm is a thread's name, if it is still there.
func comm(pid, tid uint32) string {
	name := head(filepath.Join("/proc", strconv.Itoa(int(pid)), "task", strconv.Itoa(int(tid)), "comm"))
	if name == "" {
		return "(ended)"
	}
	return strings.TrimSuffix(name, "\n")
}
