//go:build linux

package feeder

import (
	"errors"
	"time"

	"headgate/guestd/pipe"
	"headgate/wire/feed"
)

// line is one open pipe, its tests, and the goroutine that waits at it.
type line struct {
	pipe.Pipe
	intake Intake // of the goroutine that waits, but for Renew

	probation int       // the intake's, after the last arrival
	owed      int       // bytes that were asked for and have not come
	since     time.Time // when they were asked for
	soon      bool      // its host had had no time to come when it was to be asked
	away      bool      // nobody listened when it was asked, and nothing has come since
	untold    string    // the reason of the last reseed, if the host could not be told
	tries     int       // to tell it that are left
}

// patience is how long a request may stay unanswered before it counts as lost.
// While the host's supply is dry requests only wait, and the answers to many would
// drain it, when it is back, for nothing.
const patience = 5 * time.Minute

// ask asks, unless an answer is still to come.
func (l *line) ask(n int, now time.Time) error {
	if l.owed > 0 && now.Sub(l.since) < patience {
		return nil
	}
	err := l.Ask(max(n, l.probation))
	if err == nil {
		l.owed, l.since = n, now
	}
	return err
}

// came takes what arrived off what is owed. A push begins every connection, and
// on a new one nothing is owed.
func (l *line) came(a arrival) {
	if l.owed = max(l.owed-a.n, 0); a.pushed {
		l.owed = 0
	}
	if a.n > 0 {
		l.soon, l.away = false, false
	}
	l.probation = a.probation
}

// unanswered says whether an end of Receive is only that of what was asked for.
func unanswered(err error) bool { return errors.Is(err, pipe.ErrAway) || errors.Is(err, pipe.ErrDry) }

// arrival is what came on a line, and what became of it.
type arrival struct {
	on           *line
	read, n      int // bytes that were read, and those of them that are random
	pushed, more bool
	out          Outcome
	probation    int   // what is left of it
	end          error // of the line, or of what was asked for
	refused      error // by the kernel's pool
}

// receive takes whatever arrives, one at a time and at a bounded pace, and hands over
// what became of it.
func (l *line) receive(out chan<- arrival, stop <-chan struct{}) {
	var turns pace
	for {
		a := l.take()
		select {
		case out <- a:
		case <-stop:
			return
		}
		if a.end != nil && !unanswered(a.end) {
			return
		}
		now := time.Now()
		wait := turns.take(now)
		if a.more || a.read > feed.MaxFrame { // much is several times as dear as a push
			wait = turns.take(now)
		}
		if wait > 0 {
			select {
			case <-time.After(wait):
			case <-stop:
				return
			}
		}
	}
}

// take waits for the next arrival and puts it into the pool: here, on the goroutine
// that the pipe wakes, and not a hand-over later. Until the kernel has reseeded,
// clones of one guest draw the same from it.
func (l *line) take() arrival {
	b, err := l.Receive()
	if err != nil {
		return arrival{on: l, end: err}
	}
	out, err := l.intake.Take(b)
	l.Wipe()
	return arrival{
		on: l, read: b.Read, n: len(b.Data), pushed: b.Pushed, more: b.More,
		out: out, probation: l.intake.Probation, refused: err,
	}
}
