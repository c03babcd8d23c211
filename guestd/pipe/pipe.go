//go:build linux

// Package pipe finds and reads the ways by which random bytes come into a guest.
//
// It promises that waiting costs no wake-up while nothing comes, with the host
// there or away, and that asking and reporting never block. A pipe of Xen's stays
// open over the end of the host's side, and over a save, restore or migration of
// the guest: after a resume fresh bytes are fetched at once, and what lay in it
// before is not taken for fresh.
package pipe

import (
	"errors"

	"headgate/wire/feed"
)

// Pipe is one way into this guest. Receive is called by one goroutine, the other
// methods by any.
type Pipe interface {
	// Ask asks for n bytes. It never blocks; ErrAway says that nobody listens now,
	// ErrSoon that nobody can listen yet.
	Ask(n int) error

	// Receive blocks until something came, at most 64 KiB of it. The batch is good
	// until Wipe. ErrAway and ErrDry say that what was asked for will not come; it
	// may be asked for again. Any other error ends the pipe: after Close it is
	// os.ErrClosed, at the latest when the device next answers.
	Receive() (feed.Batch, error)

	// Renew says that this guest may have begun a new life: what the pipe holds of
	// before, and does not know by its epoch, is stale in the next batch.
	Renew()

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

// The kinds, best first: a ring begins clean with every session, a channel's backend
// keeps what was written for nobody; both and a port bring pushes, epochs and
// reports.
const (
	VchanKind   Kind = "vchan"
	ChannelKind Kind = "channel"
	PortKind    Kind = "port"
	HWRNGKind   Kind = "hwrng"
)

// Kinds lists all kinds, best first.
func Kinds() []Kind { return []Kind{VchanKind, ChannelKind, PortKind, HWRNGKind} }

var (
	// ErrNone is returned when this guest has no such pipe.
	ErrNone = errors.New("not found")

	// ErrAway is returned by Ask and Report while the host does not listen; Ask of a
	// ring tries all the same, and this is how it was the time before.
	ErrAway = errors.New("nobody listens on the host: is hostd running?")

	// ErrDry is returned by Receive when the host came and did not send enough.
	ErrDry = errors.New("the host has come and has sent too little: has hostd a source that works?")

	// ErrSoon is returned by Ask while the host has had no time to come. It begins
	// with a push, which is as good as an answer.
	ErrSoon = errors.New("the host has not come yet")
)
