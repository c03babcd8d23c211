//go:build linux

package grant

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// AllocDevice is where the kernel's driver is that grants its own pages.
const AllocDevice = "/dev/xen/gntalloc"

// ioctl numbers: _IOC(_IOC_NONE, 'G', number, size of the argument), gntalloc.h.
const (
	ioctlAllocGref   = 0x184705
	ioctlDeallocGref = 0x104706 // {index u64, count u32}
	flagWritable     = 1        // GNTALLOC_FLAG_WRITABLE
)

// Share allocates zeroed pages that the given domain may map and write.
func Share(domid uint16, pages int) (*Pages, error) {
	if pages < 1 || pages > MaxPages {
		return nil, failed("share", AllocDevice, unix.EINVAL)
	}
	fd, err := open(AllocDevice, "xen-gntalloc")
	if err != nil {
		return nil, err
	}
	// struct ioctl_gntalloc_alloc_gref, in words of 64 bits because of its index:
	// domid, flags u16, count u32; index u64; a u32 for each page.
	arg := make([]uint64, 2+(pages+1)/2)
	head := (*struct {
		domid, flags uint16
		count        uint32
		index        uint64
	})(unsafe.Pointer(&arg[0]))
	head.domid, head.flags, head.count = domid, flagWritable, uint32(pages)
	if err := ioctl(fd, ioctlAllocGref, unsafe.Pointer(&arg[0])); err != nil {
		_ = unix.Close(fd)
		if err == unix.ENOSPC { //nolint:errorlint // an Errno as the kernel gave it; nothing wraps it
			err = &advised{err, "all that gntalloc may share is shared; close other vchans, or raise its parameter limit"}
		}
		return nil, failed("share", AllocDevice, err)
	}
	p := &Pages{device: AllocDevice, fd: fd, index: head.index, unmap: ioctlDeallocGref, refs: make([]Ref, pages)}
	copy(p.refs, unsafe.Slice((*Ref)(unsafe.Pointer(&arg[2])), pages))
	if err := p.mmap(); err != nil {
		_ = p.Close()
		return nil, failed("share", AllocDevice, err)
	}
	clear(p.bytes) // the kernel does so; it is our promise
	return p, nil
}
