//go:build linux

// Package pipe finds and reads the ways by which random bytes come into a guest.
//
// It promises that waiting costs no wake-up while nothing comes, with the host
// there or away, and that asking and reporting never block.
package pipe

import (
	"errors"

	"headgate/wire/feed"
)

// Pipe is one way into this guest. Receive is called by one goroutine, the other
// methods by any.
type Pipe interface {
	// Ask asks for n bytes. It never blocks; ErrAway says that nobody listens now.
	Ask(n int) error

	// Receive blocks until something came, at most 64 KiB of it. The batch is good
	// until Wipe. After Close it returns os.ErrClosed, at the latest when the
	// device next answers.
	Receive() (feed.Batch, error)

	// Wipe zeroes the last batch.
	Wipe()

	// Report tells the host what was done, where the pipe can carry that.
	Report(*feed.Report) error

	Kind() Kind
	Path() string
	Close() error
}

// Kind says which pipe.
type Kind string

// The kinds, best first: a port brings pushes, epochs and reports.
const (
	PortKind  Kind = "port"
	HWRNGKind Kind = "hwrng"
)

// Kinds lists all kinds, best first.
func Kinds() []Kind { return []Kind{PortKind, HWRNGKind} }

var (
	// ErrNone is returned when this guest has no such pipe.
	ErrNone = errors.New("not found")

	// ErrAway is returned by Ask and Report while the host does not listen.
	ErrAway = errors.New("nobody listens on the host: is hostd running?")
)
