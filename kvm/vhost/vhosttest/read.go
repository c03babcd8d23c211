package vhosttest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// past is a deadline that is over.
var past = time.Unix(1, 0)

// Buffer is a descriptor of n bytes at an offset of the memory, for the device to
// write to.
func Buffer(offset uint64, n int) Desc {
	return Desc{Addr: GuestBase + offset, Len: uint32(n), Flags: Write}
}

// Table writes an indirect table at an offset of the memory and is the descriptor
// that points to it.
func (f *Front) Table(offset uint64, chain ...Desc) Desc {
	for i, d := range chain {
		if i+1 < len(chain) {
			d.Flags, d.Next = d.Flags|Next, uint16(i+1)
		}
		f.PutDesc(offset+descSize*uint64(i), d)
	}
	return Desc{Addr: GuestBase + offset, Len: uint32(descSize * len(chain)), Flags: Indirect}
}

// Kick tells the device of what was posted, if it wants to be told.
func (f *Front) Kick() error {
	if !f.MustKick() {
		return nil
	}
	return f.ForceKick()
}

// ForceKick tells the device even if it does not want to be told.
func (f *Front) ForceKick() error { return signal(f.kick) }

// KickFD is the eventfd that the front kicks with.
func (f *Front) KickFD() int { return f.kick }

// CallFD is the eventfd that the device calls with.
func (f *Front) CallFD() int { return f.callFD }

// ErrFD is the eventfd for the device's errors.
func (f *Front) ErrFD() int { return f.failed }

// Used waits for the next chain that the device has used.
func (f *Front) Used(ctx context.Context) (head uint16, n uint32, err error) {
	f.obey(ctx)
	for {
		f.Await()
		head, n, ok, err := f.Take()
		if ok || err != nil {
			return head, n, err
		}
		var count [8]byte
		if _, err := f.call.Read(count[:]); err != nil {
			if ctx.Err() != nil {
				return 0, 0, ctx.Err()
			}
			return 0, 0, fmt.Errorf("wait for the device's call: %w", err)
		}
	}
}

// obey has waits end with ctx. That is set up once for many of them.
func (f *Front) obey(ctx context.Context) {
	if f.waiting == ctx {
		return
	}
	if f.unwait != nil && !f.unwait() {
		// It has set its deadline, or is about to: it must not do so later.
		<-f.ended
	}
	_ = f.call.SetReadDeadline(time.Time{})
	ended := make(chan struct{})
	call := f.call
	f.waiting, f.ended = ctx, ended
	f.unwait = context.AfterFunc(ctx, func() {
		defer close(ended)
		_ = call.SetReadDeadline(past)
	})
}

// Read asks the device for len(p) bytes, as a guest's driver does, and returns how
// many it gave. Once ctx is done the buffer is still the device's: the ring can only
// be reset after that.
func (f *Front) Read(ctx context.Context, p []byte) (int, error) {
	if uint64(len(p)) > uint64(len(f.Memory.Bytes))-f.Data {
		return 0, errors.New("the front has no room for so many bytes: see Options.Data")
	}
	posted, err := f.Post(Buffer(f.Data, len(p)))
	if err != nil {
		return 0, err
	}
	if err := f.Kick(); err != nil {
		return 0, err
	}
	head, n, err := f.Used(ctx)
	if err != nil {
		return 0, err
	}
	if head != posted {
		return 0, fmt.Errorf("chain %d was used, %d was posted", head, posted)
	}
	if uint64(n) > uint64(len(p)) {
		return 0, fmt.Errorf("the device says that it wrote %d bytes to a buffer of %d", n, len(p))
	}
	buffer := f.Memory.Bytes[f.Data:][:n]
	copy(p, buffer)
	clear(buffer)
	return int(n), nil
}

// signal adds one to an eventfd's count.
func signal(fd int) error {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	for {
		_, err := unix.Write(fd, one[:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil && !errors.Is(err, unix.EAGAIN) { // it is at its maximum: seen all the same
			return fmt.Errorf("signal an eventfd: %w", err)
		}
		return nil
	}
}
