package libvirt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"

	rpc "github.com/digitalocean/go-libvirt"
)

var (
	// ErrNoDomain means that libvirt has no domain of that name or UUID.
	ErrNoDomain = errors.New("libvirt has no such domain: virsh list --all shows those that it has")

	// ErrClosed means that the connection has been closed.
	ErrClosed = errors.New("the connection to libvirt is closed")

	errHangs = errors.New("libvirtd does not answer: it hangs, or a hook or a job holds it up")
)

// dialError says what to do about a socket that cannot be connected to.
func dialError(socket string, err error) error {
	cure := ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		cure = ": start libvirtd (or virtqemud), or name its socket under [libvirt]"
	case errors.Is(err, syscall.ECONNREFUSED):
		cure = ": nobody listens on it: start libvirtd (or virtqemud)"
	case errors.Is(err, fs.ErrPermission):
		cure = ": its mode keeps this user out: be root, or in the group that it belongs to"
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("connect to %s: %w", socket, errHangs)
	}
	return fmt.Errorf("connect to %s: %w%s", socket, bare(err), cure)
}

// bare takes off what package net writes around an error of the kernel: the address
// is in the sentence already.
func bare(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

// errRefused is libvirt's own word against a call, while the connection is sound.
type errRefused string

func (e errRefused) Error() string { return "libvirt: " + string(e) }

// refusal is libvirt's own word against a call, with what to do about it; nil: err is
// none.
func refusal(err error) error {
	if errors.Is(err, rpc.ErrUnsupported) {
		return errRefused("it does not know this call, because it is too old")
	}
	var e rpc.Error
	if !errors.As(err, &e) {
		return nil
	}
	message := strings.ToValidUTF8(e.Message, "?")
	switch rpc.ErrorNumber(e.Code) {
	case rpc.ErrNoDomain:
		return ErrNoDomain
	case rpc.ErrOperationDenied:
		return errRefused(message + ": its read-only socket takes no changes")
	case rpc.ErrAuthFailed, rpc.ErrAuthCancelled, rpc.ErrAuthUnavailable, rpc.ErrAccessDenied:
		return errRefused(message + ": be root, or have polkit allow it to this user")
	}
	if strings.Contains(message, "system bus") { // virPolkitCheckAuth, src/util/virpolkit.c
		return errRefused(message + ": libvirtd asks polkit, over D-Bus, who may read: start dbus and libvirtd after it, or set auth_unix_ro = \"none\" in libvirtd.conf")
	}
	return errRefused(message)
}

// lost is why a connection has ended by itself.
func lost(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return errors.New("libvirtd has closed the connection: it ended, or has as many clients as it takes (max_clients in libvirtd.conf)")
	}
	return bare(err)
}
