//go:build linux

package grant

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"headgate/xen/evtchn"
)

// Pages is memory that two domains have.
type Pages struct {
	device string
	fd     int
	index  uint64 // where the driver has the pages, as an offset for mmap
	refs   []Ref
	unmap  uintptr // the ioctl that gives the grants back, after munmap

	mu     sync.Mutex
	bytes  []byte
	closed bool
}

// Bytes is the memory. It must not be touched after Close.
func (p *Pages) Bytes() []byte { return p.bytes }

// Refs are the pages' grant references, in the order of Bytes.
func (p *Pages) Refs() []Ref { return slices.Clone(p.refs) }

// ioctl number: _IOC(_IOC_NONE, 'G', 7, 16), the same for both devices.
const ioctlSetUnmapNotify = 0x104707 // {index u64, action u32, event_channel_port u32}

// notifyBoth is UNMAP_NOTIFY_CLEAR_BYTE | UNMAP_NOTIFY_SEND_EVENT.
const notifyBoth = 1 | 2

// NotifyOnUnmap has the kernel clear the byte at offset and send an event to port
// when this process's mapping ends, however it ends. A page has one such wish.
func (p *Pages) NotifyOnUnmap(offset int, port evtchn.Port) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return failed("notify on unmap", p.device, os.ErrClosed)
	}
	if offset < 0 || offset >= len(p.bytes) {
		return failed("notify on unmap", p.device, unix.EINVAL)
	}
	arg := struct {
		index  uint64
		action uint32
		port   uint32
	}{p.index + uint64(offset), notifyBoth, uint32(port)}
	if err := ioctl(p.fd, ioctlSetUnmapNotify, unsafe.Pointer(&arg)); err != nil {
		return failed("notify on unmap", p.device, err)
	}
	return nil
}

// Close ends the mapping and gives the grants back. The order matters: while any
// page is mapped or held, Xen keeps the domain that it belongs to.
func (p *Pages) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return os.ErrClosed
	}
	p.closed = true
	var first error
	if p.bytes != nil {
		first = unix.Munmap(p.bytes)
		p.bytes = nil
	}
	arg := struct {
		index      uint64
		count, pad uint32
	}{index: p.index, count: uint32(len(p.refs))}
	// gntalloc's argument ends before pad; it does not look at it.
	if err := ioctl(p.fd, p.unmap, unsafe.Pointer(&arg)); first == nil {
		first = err
	}
	if err := unix.Close(p.fd); first == nil {
		first = err
	}
	if first != nil {
		return failed("unmap", p.device, first)
	}
	return nil
}

// open opens a device; module is what provides it.
func open(device, module string) (int, error) {
	for {
		fd, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = &absent{err, module}
		}
		if err != nil {
			return -1, failed("open", device, err)
		}
		return fd, nil
	}
}

// mmap maps the pages that the driver has at p.index.
func (p *Pages) mmap() (err error) {
	p.bytes, err = unix.Mmap(p.fd, int64(p.index), len(p.refs)*PageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	return err
}

func ioctl(fd int, request uintptr, arg unsafe.Pointer) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(arg))
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return errno
		}
	}
}
