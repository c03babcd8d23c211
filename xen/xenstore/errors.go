package xenstore

import (
	"errors"
	"io"
	"strconv"
	"syscall"
)

// Error is why a request failed. Where xenstored refused it, it wraps a
// syscall.Errno, so that errors.Is(err, fs.ErrNotExist) and the like work.
type Error struct {
	Op   string
	Path string // "": the request has none
	Err  error
}

func (e *Error) Error() string {
	s := "xenstore " + e.Op
	if e.Path != "" {
		s += " " + e.Path
	}
	return s + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// because is a cause with what it means and what to do about it.
type because struct {
	text string
	err  error
}

func (b *because) Error() string { return b.text }
func (b *because) Unwrap() error { return b.err }

var (
	// ErrHangs means that xenstored did not answer in time. The connection is over.
	ErrHangs = errors.New("xenstored does not answer: is it running, or overloaded?")

	// ErrProtocol means that what came is not xenstore's protocol. The connection is
	// over.
	ErrProtocol = errors.New("the answer is not xenstore's protocol")

	errTooLong  = errors.New("the request is too long: path and value take at most 4096 bytes together, 4080 on /dev/xen/xenbus")
	errTooMany  = errors.New("the node has more than 1 MiB of children")
	errRestless = errors.New("the node's children change faster than they can be listed")
	errOver     = errors.New("the transaction is over: it must not leave the function that Update calls")
)

func protocolError(what string) error {
	return &because{text: ErrProtocol.Error() + ": " + what, err: ErrProtocol}
}

// lost is why a connection has ended by itself.
func lost(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return &because{text: "xenstored has closed the connection: it ended, or took a request for a violation of its protocol", err: err}
	}
	return bare(err)
}

// bare takes off what package os writes around an error of the kernel.
func bare(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

func isErrno(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno)
}

// xsd_errors of xs_wire.h: errors travel as names.
var errnos = map[string]syscall.Errno{
	"EINVAL":    syscall.EINVAL,
	"EACCES":    syscall.EACCES,
	"EEXIST":    syscall.EEXIST,
	"EISDIR":    syscall.EISDIR,
	"ENOENT":    syscall.ENOENT,
	"ENOMEM":    syscall.ENOMEM,
	"ENOSPC":    syscall.ENOSPC,
	"EIO":       syscall.EIO,
	"ENOTEMPTY": syscall.ENOTEMPTY,
	"ENOSYS":    syscall.ENOSYS,
	"EROFS":     syscall.EROFS,
	"EBUSY":     syscall.EBUSY,
	"EAGAIN":    syscall.EAGAIN,
	"EISCONN":   syscall.EISCONN,
	"E2BIG":     syscall.E2BIG,
	"EPERM":     syscall.EPERM,
}

// refusal is the error that the payload of XS_ERROR names. A name that no list has
// is an EINVAL, as it is to Xen's own library.
func refusal(payload []byte) (why error, bad error) {
	name, ok := parseString(payload)
	if !ok {
		return nil, errBadError
	}
	if errno, known := errnos[name]; known {
		return errno, nil
	}
	return &because{text: "xenstored refused it: " + strconv.Quote(name[:min(len(name), 32)]), err: syscall.EINVAL}, nil
}
