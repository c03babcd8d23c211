//go:build !linux

package vchan

import (
	"errors"

	"headgate/xen/xenstore"
)

// Listen always fails here.
func Listen(*xenstore.Conn, Config) (*Conn, error) {
	return nil, failed("vchan: listen", errors.ErrUnsupported)
}

// Dial always fails here.
func Dial(*xenstore.Conn, Config) (*Conn, error) {
	return nil, failed("vchan: dial", errors.ErrUnsupported)
}

// Connect always fails here.
func Connect(uint16, Offer) (*Conn, error) {
	return nil, failed("vchan: connect", errors.ErrUnsupported)
}
