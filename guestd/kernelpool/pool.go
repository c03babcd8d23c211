//go:build linux

// Package kernelpool adds, credits and reseeds the entropy pool of the running
// Linux kernel.
//
// It promises that the credit of one Add reaches the kernel only after all of its
// bytes have been mixed, and that no copy of those bytes stays behind.
//
// Since Linux 5.18 an addition to a pool that is ready is not felt until the
// kernel's next periodic reseed, up to a minute later: Add and then Reseed is felt
// at once.
package kernelpool

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Path is the device that Open opens. Opening it never blocks, and the ioctls are
// the same on /dev/random.
const Path = "/dev/urandom"

var (
	// ErrNotReady is returned by Reseed before the kernel's generator has been
	// credited 256 bits for the first time (ENODATA).
	ErrNotReady = errors.New("the kernel's generator is not ready yet")

	// ErrPermission is returned without CAP_SYS_ADMIN.
	ErrPermission = errors.New("not permitted: it takes CAP_SYS_ADMIN: run as root")

	// ErrUnsupported is returned by Reseed on a kernel before 4.17 whose generator is
	// ready: what was added is felt within five minutes.
	ErrUnsupported = errors.New("this kernel has no RNDRESEEDCRNG: it needs Linux 4.17")
)

// chunk is the most bytes in one RNDADDENTROPY.
const chunk = 512

// randPoolInfo is struct rand_pool_info of linux/random.h.
type randPoolInfo struct {
	entropyCount int32 // bits
	bufSize      int32 // bytes
	buf          [chunk]byte
}

// Pool is the kernel's pool. It is not safe for concurrent use.
type Pool struct {
	dev  *os.File
	info randPoolInfo
}

// Open opens the pool. A read-only descriptor is enough for the ioctls.
func Open() (*Pool, error) {
	dev, err := os.OpenFile(Path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	return &Pool{dev: dev}, nil
}

// Close closes the device.
func (p *Pool) Close() error { return p.dev.Close() }

// Add mixes data into the pool and then credits bits, which may be 0 and is at
// most 8 a byte (RNDADDENTROPY).
func (p *Pool) Add(data []byte, bits int) error {
	if bits < 0 || bits > 8*len(data) {
		return unix.EINVAL
	}
	defer clear(p.info.buf[:])
	for len(data) > 0 {
		n := copy(p.info.buf[:], data)
		data = data[n:]
		p.info.entropyCount, p.info.bufSize = 0, int32(n)
		if len(data) == 0 {
			p.info.entropyCount = int32(bits)
		}
		if err := p.ioctl(unix.RNDADDENTROPY, unsafe.Pointer(&p.info)); err != nil {
			return err
		}
	}
	return nil
}

// Reseed makes the kernel's generator take a new key from the pool now
// (RNDRESEEDCRNG).
func (p *Pool) Reseed() error {
	err := p.ioctl(unix.RNDRESEEDCRNG, nil)
	switch {
	case errors.Is(err, unix.ENODATA):
		return ErrNotReady
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOTTY):
		var b [1]byte
		if _, err := unix.Getrandom(b[:], unix.GRND_NONBLOCK); errors.Is(err, unix.EAGAIN) {
			return ErrNotReady
		}
		return ErrUnsupported
	}
	return err
}

// ioctl makes a raw call, for none of these requests sleeps: the runtime, told of a
// call that may, would first wake its monitor.
func (p *Pool) ioctl(request uint, arg unsafe.Pointer) error {
	for {
		_, _, e := unix.RawSyscall(unix.SYS_IOCTL, p.dev.Fd(), uintptr(request), uintptr(arg))
		switch e {
		case 0:
			return nil
		case unix.EINTR:
		case unix.EPERM:
			return ErrPermission
		default:
			return e
		}
	}
}
