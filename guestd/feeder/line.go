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
	intake Intake
	done   chan struct{} // the batch was taken

	owed  int       // bytes that were asked for and have not come
	since time.Time // when they were asked for
	soon  bool      // its host had had no time to come when it was to be asked
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
	err := l.Ask(n)
	if err == nil {
		l.owed, l.since = n, now
	}
	return err
}

// came takes what arrived off what is owed. A push begins every connection, and
// on a new one nothing is owed.
func (l *line) came(b feed.Batch) {
	if l.owed = max(l.owed-len(b.Data), 0); b.Pushed {
		l.owed = 0
	}
	if len(b.Data) > 0 {
		l.soon = false
	}
}

// unanswered says whether an end of Receive is only that of what was asked for.
func unanswered(err error) bool { return errors.Is(err, pipe.ErrAway) || errors.Is(err, pipe.ErrDry) }

// arrival is what came on a line; err is the end of it, or of what was asked for.
type arrival struct {
	on    *line
	batch feed.Batch
	err   error
}

// receive hands over every arrival, one at a time and at a bounded pace.
func (l *line) receive(out chan<- arrival, stop <-chan struct{}) {
	var turns pace
	for {
		b, err := l.Receive()
		select {
		case out <- arrival{l, b, err}:
		case <-stop:
			return
		}
		if err != nil && !unanswered(err) {
			return
		}
		select {
		case <-l.done:
		case <-stop:
			return
		}
		if wait := turns.take(time.Now()); wait > 0 {
			select {
			case <-time.After(wait):
			case <-stop:
				return
			}
		}
	}
}
