//go:build linux

package feeder

import (
	"time"

	"headgate/guestd/pipe"
	"headgate/wire/feed"
)

// line is one open pipe, its tests, and the goroutine that waits at it.
type line struct {
	pipe.Pipe
	intake Intake
	done   chan struct{} // the batch was taken
}

// arrival is what came on a line; err is the end of it.
type arrival struct {
	on    *line
	batch feed.Batch
	err   error
}

// receive hands over every batch, one at a time and at a bounded pace.
func (l *line) receive(out chan<- arrival, stop <-chan struct{}) {
	var turns pace
	for {
		b, err := l.Receive()
		select {
		case out <- arrival{l, b, err}:
		case <-stop:
			return
		}
		if err != nil {
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
