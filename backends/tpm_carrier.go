package backends

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	maxResponse    = 4096 // TPM_BUFSIZE: drivers/char/tpm/tpm.h
	responseHeader = 10   // tag, size, response code: TPM 2.0 Library Part 1 §18.2
)

// tpmCarrier takes a command to a TPM and brings its response.
type tpmCarrier interface {
	// exchange ends at once when ctx does. What it returns beside an error means
	// nothing.
	exchange(ctx context.Context, command, response []byte) (n int, err error)
	// close waits for nothing. No exchange begins after it.
	close()
}

// readResponse reads one response, and finds that nothing comes after it.
func readResponse(r io.Reader, response []byte) (int, error) {
	n, err := io.ReadAtLeast(r, response, responseHeader)
	if err != nil {
		return 0, err
	}
	size := binary.BigEndian.Uint32(response[2:])
	if size < uint32(n) || size > uint32(len(response)) {
		return 0, fmt.Errorf("%w: a response of %d bytes says that it has %d", errTPMNonsense, n, size)
	}
	_, err = io.ReadFull(r, response[n:size])
	return int(size), err
}

// tpmSocket is the path of a unix socket, where a TPM in software takes one
// connection after the other.
type tpmSocket string

func (path tpmSocket) exchange(ctx context.Context, command, response []byte) (int, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", string(path))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if _, err := conn.Write(command); err != nil {
		return 0, err
	}
	return readResponse(conn, response)
}

func (tpmSocket) close() {}

// tpmDevice is a character device of the kernel's driver.
type tpmDevice struct {
	file *os.File
	use  sync.Mutex    // an exchange is in progress
	gone chan struct{} // is closed when the device is
}

func openTPMDevice(path string) (*tpmDevice, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	if _, err = wantMode(f, fs.ModeDevice|fs.ModeCharDevice); err == nil {
		err = f.SetDeadline(time.Time{})
	}
	if err != nil {
		_ = f.Close()
		if errors.Is(err, os.ErrNoDeadline) {
			err = errors.New("its answers cannot be waited for: it is no TPM, or the kernel is older than 4.20")
		}
		return nil, err
	}
	return &tpmDevice{file: f, gone: make(chan struct{})}, nil
}

func (d *tpmDevice) exchange(ctx context.Context, command, response []byte) (int, error) {
	d.use.Lock()
	defer d.use.Unlock()
	if err := d.file.SetDeadline(time.Time{}); err != nil {
		return 0, err
	}
	defer context.AfterFunc(ctx, func() { _ = d.file.SetDeadline(time.Unix(1, 0)) })()
	return readResponse(&tpmAnswer{d.file, command}, response)
}

// tpmAnswer sends the command as the first Read begins to wait for the answer to it.
// Reading or polling sooner would not return until the TPM is done, and nothing ends
// that: the driver's worker has the file's lock all that time (tpm_dev_async_work,
// tpm_common_read and tpm_common_poll in drivers/char/tpm/tpm-dev-common.c). It wakes
// who waits when it is done, which is once, so that the waiting has to begin before
// the command is sent.
type tpmAnswer struct {
	file    *os.File
	command []byte // nil once it is sent
}

func (a *tpmAnswer) Read(p []byte) (n int, err error) {
	raw, err := a.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	err = raw.Read(func(fd uintptr) (done bool) {
		if a.command != nil {
			_, failed = unix.Write(int(fd), a.command)
			a.command = nil
			return failed != nil
		}
		n, failed = unix.Read(int(fd), p)
		if errors.Is(failed, syscall.EAGAIN) || errors.Is(failed, syscall.EINTR) {
			n, failed = 0, nil
		}
		return n > 0 || failed != nil // an answer is never empty: without a byte there is none yet
	})
	if err == nil {
		err = failed
	}
	return max(n, 0), err
}

func (d *tpmDevice) close() {
	go func() {
		d.use.Lock() // the last to let go of the file would close it
		defer d.use.Unlock()
		_ = d.file.Close()
		close(d.gone)
	}()
}
