//go:build !linux

package xenstore

import "errors"

var errLinux error = &because{text: "xenstore is reached on Linux alone", err: errors.ErrUnsupported}

// Open connects to xenstored where it is.
func Open() (*Conn, error) { return nil, &Error{Op: "open", Err: errLinux} }

// Dial connects to xenstored at a path.
func Dial(path string) (*Conn, error) { return nil, &Error{Op: "open", Path: path, Err: errLinux} }
