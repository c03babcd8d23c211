//go:build linux

package feeder

import (
	"errors"
	"os"
	"time"

	"headgate/guestd/pipe"
	"headgate/guestd/sign"
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
	Signs    <-chan sign.Sign // that this guest may have begun a new life
	Covers   func() []string  // by which such signs it would show
	Credit   Credit
	Cycles   func() uint64
	Interval time.Duration           // between two requests
	Bytes    int                     // of each
	Boot     [16]byte                // boot id, for the reports
	Uptime   func() int              // milliseconds since the kernel started
	Known    status.Record           // what the record says from the start
	Changed  func(status.Record)     // after each batch, and when something went wrong or right
	Fresh    func(string, time.Time) // after each reseed with fresh bytes: why and when
	Log      func(string)            // lines for the journal
	Warn     func(string)            // those of them that say what went wrong
	Version  string

	pool     *shared
	record   status.Record
	lines    []*line     // open pipes, best first
	pushes   []pipe.Kind // those that were open at some time, and on which the host can push
	asked    int         // how many of the lines were asked since the last answer
	reason   string      // why they were
	arrivals chan arrival
	telling  *time.Timer // when hosts are told what they could not be
	problem  map[pipe.Kind]string
}

// Run feeds until stop is closed; it returns only then, or when the kernel's pool
// refuses what it is given.
func (f *Feeder) Run(stop <-chan struct{}) error { return f.run(stop, nil, nil) }

func (f *Feeder) run(stop <-chan struct{}, early, deadline <-chan time.Time) error {
	f.arrivals, f.problem = make(chan arrival), map[pipe.Kind]string{}
	f.pool, f.reason = &shared{Pool: f.Pool}, feed.ReasonStart
	f.record = f.Known
	f.record.PID, f.record.Version, f.record.Credit = os.Getpid(), f.Version, f.Credit.String()
	f.record.Started = time.Now()
	defer f.closeAll()
	once, signs := deadline != nil, f.Signs
	var turns pace // of the signs
	f.telling = time.NewTimer(tellAgain)
	wait, retry := firstRetry, firstRetry // after this turn and after the next, if they come to nothing
	ask, next, resume := time.NewTimer(0), time.NewTimer(0), time.NewTimer(0)
	for {
		select {
		case <-ask.C:
			wait, retry = retry, min(2*retry, f.Interval)
			if f.openAll(stop); len(f.lines) == 0 {
				ask.Reset(wait)
				break
			}
			ask.Reset(f.Interval)
			f.asked = 0
			f.ask()
			next.Reset(grace)
		case <-next.C:
			f.again(func(l *line) bool { return l.soon })
			f.refresh()
			if f.asked > 0 && f.record.Pipe == "" {
				f.changed() // there is a record, though nothing has come
			}
			if f.asked > 0 && f.asked < len(f.lines) {
				f.ask()
				next.Reset(grace)
			}
		case a := <-f.arrivals:
			if err := f.note(a); err != nil || once && a.out.Gathered {
				return err
			}
			switch {
			case a.out.Gathered:
				f.reason, f.asked, wait, retry = feed.ReasonInterval, 0, firstRetry, firstRetry
			case a.out.Unready, a.more:
				f.ask() // the next pipe, too
				ask.Reset(wait)
			case a.out.Failed != nil && f.reason != feed.ReasonInterval:
				f.ask()
			}
			if len(f.lines) == 0 {
				ask.Reset(wait)
			}
		case s := <-signs:
			if err := f.renew(s); err != nil {
				return err
			}
			wait, retry = firstRetry, firstRetry
			ask.Reset(0)
			if pause := turns.take(time.Now()); pause > 0 {
				signs = nil
				resume.Reset(pause)
			}
		case <-resume.C:
			signs = f.Signs
		case <-f.telling.C:
			for _, l := range f.lines {
				if l.untold != "" {
					f.tell(l)
				}
			}
		case <-early:
			early = nil
			f.again(func(l *line) bool { return l.away })
		case <-deadline:
			return f.why()
		case <-stop:
			return nil
		}
		if once && early == nil && f.hopeless() {
			return f.why()
		}
	}
}

// because takes note of why the pipes are asked, or were pushed on: of several
// reasons the first, until fresh bytes have come.
func (f *Feeder) because(reason string) {
	if f.reason == feed.ReasonInterval {
		f.reason = reason
	}
}

// ask asks the best pipe that was not asked yet and is not without a listener. One
// that owes an answer counts as asked.
func (f *Feeder) ask() {
	for f.asked < len(f.lines) {
		l := f.lines[f.asked]
		f.asked++
		err := l.ask(f.Bytes, time.Now())
		if f.refused(l, err); err == nil {
			return
		}
	}
}

// refused takes note of why a pipe could not be asked.
func (f *Feeder) refused(l *line, err error) {
	l.soon, l.away = errors.Is(err, pipe.ErrSoon), errors.Is(err, pipe.ErrAway)
	if err != nil && !l.soon {
		f.trouble(l.Kind(), l.Path()+": "+err.Error())
	}
}

// again asks those pipes whose host had had no time to come, or was away, and has not
// come since.
func (f *Feeder) again(which func(*line) bool) {
	for _, l := range f.lines {
		if which(l) {
			f.refused(l, l.ask(f.Bytes, time.Now()))
		}
	}
}
