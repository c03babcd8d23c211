package vchan

import "time"

// bell is how the two sides wake each other: an event channel, or a fake of one.
// One goroutine at a time calls wait and pause; the others may come from anywhere.
type bell interface {
	// ring wakes the peer. It never sleeps and allocates nothing.
	ring() error
	// wait sleeps until the peer has rung since wait last said so (true), or until
	// poke (false).
	wait() (rang bool, err error)
	// pause sleeps for d, whatever the peer does, or until poke. It comes only
	// after a wait that said true.
	pause(d time.Duration) error
	// poke ends a wait or pause: the present one, else the next.
	poke()
	close() error
}
