//go:build linux

package feeder

import (
	"errors"
	"os"
	"strconv"
	"time"

	"headgate/guestd/pipe"
	"headgate/guestd/status"
	"headgate/wire/feed"
)

const (
	firstRetry = 20 * time.Millisecond // while no pipe is there or works; doubles up to the interval
	grace      = time.Second           // for a pipe to answer before the next is asked, too
)

// Feeder feeds the kernel from the pipes of this guest.
type Feeder struct {
	Pool     Pool
	Open     func(pipe.Kind) (pipe.Pipe, error)
	Credit   Credit
	Cycles   func() uint64
	Interval time.Duration       // between two requests
	Bytes    int                 // of each
	Boot     [16]byte            // boot id, for the reports
	Uptime   func() int          // milliseconds since the kernel started
	Changed  func(status.Record) // after each batch, and when something went wrong or right
	Log      func(string)        // lines for the journal
	Warn     func(string)        // those of them that say what went wrong
	Version  string

	record   status.Record
	lines    []*line // open pipes, best first
	asked    int     // how many of them were asked since the last answer
	reason   string  // why they were
	arrivals chan arrival
	problem  map[pipe.Kind]string
}

// Run feeds until stop is closed; it returns only then, or when the kernel's pool
// refuses what it is given.
func (f *Feeder) Run(stop <-chan struct{}) error { return f.run(stop, nil, false) }

// ErrTimeout is returned by Seed.
var ErrTimeout = errors.New("no fresh bytes came in time")

// Seed feeds once: until fresh bytes, enough of them, have gone in.
func (f *Feeder) Seed(timeout time.Duration) error {
	stop := make(chan struct{})
	defer close(stop)
	return f.run(stop, time.After(timeout), true)
}

func (f *Feeder) run(stop <-chan struct{}, deadline <-chan time.Time, once bool) error {
	f.arrivals, f.problem = make(chan arrival), map[pipe.Kind]string{}
	f.record = status.Record{PID: os.Getpid(), Version: f.Version, Credit: f.Credit.String(), Started: time.Now()}
	defer f.closeAll()
	f.reason = "start"
	wait, retry := firstRetry, firstRetry // after this turn and after the next, if they come to nothing
	ask, next := time.NewTimer(0), time.NewTimer(0)
	for {
		select {
		case <-ask.C:
			wait, retry = retry, min(2*retry, f.Interval)
			if f.openAll(stop); len(f.lines) == 0 {
				ask.Reset(wait)
				continue
			}
			ask.Reset(f.Interval)
			f.asked = 0
			f.ask()
			next.Reset(grace)
		case <-next.C:
			f.late()
			if f.asked > 0 {
				f.ask()
				next.Reset(grace)
			}
		case a := <-f.arrivals:
			out, err := f.take(a)
			if err != nil || once && out.Gathered {
				return err
			}
			switch {
			case out.Gathered:
				f.reason, f.asked, wait, retry = "interval", 0, firstRetry, firstRetry
			case out.Unready, a.batch.More:
				f.ask() // the next pipe, too
				ask.Reset(wait)
			}
			if len(f.lines) == 0 {
				ask.Reset(wait)
			}
		case <-deadline:
			return f.why()
		case <-stop:
			return nil
		}
	}
}

// ask asks the best pipe that was not asked yet and is not without a listener. One
// that owes an answer counts as asked.
func (f *Feeder) ask() {
	for f.asked < len(f.lines) {
		l := f.lines[f.asked]
		f.asked++
		err := l.ask(f.wanted(l), time.Now())
		if f.refused(l, err); err == nil {
			return
		}
	}
}

// refused takes note of why a pipe could not be asked.
func (f *Feeder) refused(l *line, err error) {
	if l.soon = errors.Is(err, pipe.ErrSoon); err != nil && !l.soon {
		f.trouble(l.Kind(), l.Path()+": "+err.Error())
	}
}

// late asks those pipes whose host had had no time to come, and has not since.
func (f *Feeder) late() {
	for _, l := range f.lines {
		if l.soon {
			f.refused(l, l.ask(f.wanted(l), time.Now()))
		}
	}
}

// wanted is how many bytes to ask a pipe for.
func (f *Feeder) wanted(l *line) int { return max(f.Bytes, l.intake.Probation) }

// take takes what came on a line.
func (f *Feeder) take(a arrival) (out Outcome, err error) {
	switch {
	case unanswered(a.err):
		a.on.owed = 0
		a.on.done <- struct{}{}
		f.trouble(a.on.Kind(), a.on.Path()+": "+a.err.Error())
		return out, nil
	case a.err != nil:
		f.drop(a.on)
		f.trouble(a.on.Kind(), a.on.Path()+": "+a.err.Error())
		return out, nil
	}
	out, err = a.on.intake.Take(a.batch)
	n, pushed := len(a.batch.Data), a.batch.Pushed
	a.on.came(a.batch)
	a.on.Wipe()
	a.on.done <- struct{}{}
	if err != nil || n == 0 {
		return out, err
	}
	r := &f.record
	r.Bytes += n
	r.Bits += out.Bits
	if pushed && f.reason == "interval" {
		f.reason = "push"
	}
	reason := f.reason
	r.Pipe, r.Health = a.on.Path(), "passed"
	if out.Failed != nil {
		r.Failures++
		r.Health = out.Failed.Error()
		reason += ", not credited: health"
		f.Warn(r.Pipe + ": " + r.Health + ": mixed without credit; if it happens again, test the host's source: hostd source test")
	}
	switch {
	case out.Gathered:
		f.well(a.on.Kind())
		f.seeded(reason, n, out.Bits)
	case out.Unready:
		f.trouble("", notEnough)
	}
	if out.Gathered || out.Failed != nil {
		seeded := int64(0)
		if !r.Reseeded.IsZero() {
			seeded = r.Reseeded.UnixNano()
		}
		_ = a.on.Report(&feed.Report{ // nobody listens: then nobody misses it
			Seeded: seeded, Credited: uint64(r.Bits), Boot: f.Boot, Reason: reason, Version: f.Version,
		})
	}
	f.Changed(*r)
	return out, nil
}

func (f *Feeder) seeded(reason string, n, bits int) {
	r := &f.record
	r.Reseeded, r.Reason = time.Now(), reason
	r.Reseeds++
	if r.Seeded.IsZero() {
		r.Seeded, r.Uptime = r.Reseeded, f.Uptime()
	}
	if reason != "interval" {
		f.Log("reseeded (" + reason + "): " + strconv.Itoa(n) + " bytes, " + strconv.Itoa(bits) + " bits credited, from " + r.Pipe)
	}
}
