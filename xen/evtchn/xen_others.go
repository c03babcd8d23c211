//go:build !linux

package evtchn

import (
	"errors"
	"time"
)

// Conn has the event channels of a process; this system has none.
type Conn struct{}

// Open always fails here.
func Open() (*Conn, error) { return nil, failed("open", errors.ErrUnsupported) }

// BindInterdomain always fails here.
func (*Conn) BindInterdomain(uint16, Port) (Port, error) { return 0, errors.ErrUnsupported }

// BindUnbound always fails here.
func (*Conn) BindUnbound(uint16) (Port, error) { return 0, errors.ErrUnsupported }

// Unbind always fails here.
func (*Conn) Unbind(Port) error { return errors.ErrUnsupported }

// Notify always fails here.
func (*Conn) Notify(Port) error { return errors.ErrUnsupported }

// Wait always fails here.
func (*Conn) Wait() (Port, error) { return 0, errors.ErrUnsupported }

// Unmask always fails here.
func (*Conn) Unmask(Port) error { return errors.ErrUnsupported }

// SetDeadline always fails here.
func (*Conn) SetDeadline(time.Time) error { return errors.ErrUnsupported }

// Close always fails here.
func (*Conn) Close() error { return errors.ErrUnsupported }
