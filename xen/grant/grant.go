package grant

import (
	"errors"
	"io/fs"
)

// PageSize is that of a grant, in bytes, on every machine.
const PageSize = 4096

// MaxPages is the most that one Share or Map takes: what /dev/xen/gntalloc gives
// out in all, by default.
const MaxPages = 1024

// Ref is a grant reference: the number of a page in its owner's grant table.
type Ref uint32

// advised is a cause with what to do about it.
type advised struct {
	error
	advice string
}

func (e *advised) Error() string { return e.error.Error() + " (" + e.advice + ")" }
func (e *advised) Unwrap() error { return e.error }

// absent is that there is no such device. It is errors.ErrUnsupported and not
// fs.ErrNotExist, which to those who look for a peer says that it has not come yet.
type absent struct {
	error
	module string
}

func (e *absent) Error() string {
	return e.error.Error() + " (on Xen, load the module " + e.module + ")"
}
func (e *absent) Unwrap() error { return errors.ErrUnsupported }

// failed says what was tried with a device and why it did not work.
func failed(op, device string, err error) error {
	return &fs.PathError{Op: op, Path: device, Err: err}
}
