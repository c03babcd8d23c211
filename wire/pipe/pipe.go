// Package pipe says what all ways into a guest have in common, whatever carries
// them: a socket, a shared page, a queue.
//
// It promises nothing of its own: package pipetest holds every kind of pipe to what
// is said here.
package pipe

import (
	"context"
	"fmt"

	"headgate/wire"
	"headgate/wire/feed"
)

// Pipe is the way from a tap into one guest. Its methods but Run may be called from
// many goroutines.
type Pipe interface {
	// Run serves the guest until ctx is done. It has then ended every connection
	// and given back what the pipe holds on this host. An error says that the pipe
	// cannot go on and has to be made anew.
	Run(ctx context.Context) error

	// Push sends the guest fresh bytes that it did not ask for, because it was
	// restored, cloned or migrated, and says whether they are on their way. If they
	// are not, the next connection begins so anyhow. The caller marks the tap as
	// fresh before.
	Push() bool

	// Stats is a snapshot.
	Stats() Stats

	// Close gives back what a pipe holds that is not run. A second call does
	// nothing.
	Close() error
}

// Tap is what a pipe draws from.
type Tap interface {
	wire.Tap
	// Fresh says that the guest has connected, and has had nothing yet.
	Fresh()
}

// Event is something that happened on a pipe. It must be taken without blocking.
type Event struct {
	Kind   EventKind
	Peer   fmt.Stringer // who is at the other end; nil: not known
	Err    error        // why, with Disconnected, Refused and Broken
	Report feed.Report  // with Reported
}

// EventKind says what happened.
type EventKind int

// What can happen.
const (
	Connected    EventKind = iota
	Disconnected           // the client left
	Broken                 // the client broke the protocol, or the connection failed
	Refused                // a client was turned away
	Reported               // guestd said what it did
)

// Stats is what happened on a pipe, over all its connections.
type Stats struct {
	Connected   bool
	Connections uint64
	Requests    uint64
	Bytes       uint64
	Refused     uint64 // clients turned away
	Errors      uint64 // connections closed for what came from them, and reads of garbage
	Dropped     uint64 // what was asked for or offered and not taken: EGD's 03, requests beyond the bound
}

// Seed is how many bytes a guest gets unasked when it connects: two seeds of
// Linux's generator (drivers/char/random.c, BLAKE2S_HASH_SIZE), and what one request of
// its hwrng core asks for on x86.
const Seed = 64
