package vchan

import (
	"errors"
	"io/fs"
	"syscall"
)

// ErrCorrupt is what Read and Write return once the peer has written into the page
// what no peer that keeps the protocol writes. The Conn is then of no use.
var ErrCorrupt = errors.New("vchan: the peer broke the ring")

// failure is what was tried, and why it did not work.
type failure struct {
	op  string
	err error
}

func (e *failure) Error() string { return e.op + ": " + e.err.Error() }
func (e *failure) Unwrap() error { return e.err }

func failed(op string, err error) error { return &failure{op, err} }

// errTooLarge is for rings that the protocol does not have.
var errTooLarge = failed("choose rings: the largest has 1 MiB", syscall.EINVAL)

// errGone is what Write returns when the peer has closed or died.
var errGone = failed("vchan: write: the peer has gone", syscall.EPIPE)

// errDeserted is for an offer that was left behind.
var errDeserted = failed("its server has gone", fs.ErrNotExist)
