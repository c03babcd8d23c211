package evtchn

import (
	"errors"
	"io/fs"
)

// absent is that there is no such device. It is errors.ErrUnsupported and not
// fs.ErrNotExist, which to those who look for a peer says that it has not come yet.
type absent struct{ error }

func (e *absent) Error() string { return e.error.Error() + " (on Xen, load the module xen-evtchn)" }
func (e *absent) Unwrap() error { return errors.ErrUnsupported }

// failed says what was tried with the device and why it did not work.
func failed(op string, err error) error {
	return &fs.PathError{Op: op, Path: Device, Err: err}
}
