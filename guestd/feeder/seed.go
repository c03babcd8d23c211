//go:build linux

package feeder

import (
	"errors"
	"time"
)

// ErrTimeout is returned by Seed.
var ErrTimeout = errors.New("no fresh bytes came in time")

// early is when Seed gives up if there is no pipe then, or none whose host listens:
// the guest's boot waits for it. QEMU dials again once a second at the most, and may
// be about to.
const early = 300 * time.Millisecond

// Seed feeds once: until fresh bytes, enough of them, have gone in.
func (f *Feeder) Seed(timeout time.Duration) error {
	stop := make(chan struct{})
	defer close(stop)
	return f.run(stop, time.After(early), time.After(timeout))
}

// hopeless says whether nothing can come now.
func (f *Feeder) hopeless() bool {
	for _, l := range f.lines {
		if !l.away {
			return false
		}
	}
	return true
}

// why says what stood in the way of a seed.
func (f *Feeder) why() error {
	switch {
	case f.record.Failures > 0:
		return errors.New(f.record.Pipe + ": " + f.record.Health + ": mixed without credit")
	case f.problem[""] == notEnough:
		return errors.New(f.record.Pipe + ": " + notEnough)
	case f.record.Error != "":
		return errors.New(f.record.Error)
	case len(f.lines) > 0:
		return errors.New(f.lines[0].Path() + ": " + ErrTimeout.Error() + ": is hostd running, and has it a source?")
	}
	return ErrTimeout
}
