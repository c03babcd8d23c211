//go:build linux

package grant

import (
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MapDevice is where the kernel's driver is that maps the pages of others.
const MapDevice = "/dev/xen/gntdev"

// ioctl numbers: _IOC(_IOC_NONE, 'G', number, size of the argument), gntdev.h.
const (
	ioctlMapGrantRef   = 0x184700
	ioctlUnmapGrantRef = 0x104701 // {index u64, count, pad u32}
)

// Map maps pages that a domain shares with this one, writable, one after the other.
func Map(domid uint16, refs []Ref) (*Pages, error) {
	if len(refs) < 1 || len(refs) > MaxPages {
		return nil, failed("map", MapDevice, unix.EINVAL)
	}
	fd, err := open(MapDevice, "xen-gntdev")
	if err != nil {
		return nil, err
	}
	// struct ioctl_gntdev_map_grant_ref, in words of 64 bits because of its index:
	// count, pad u32; index u64; {domid, ref u32} for each page.
	arg := make([]uint64, 2+len(refs))
	*(*uint32)(unsafe.Pointer(&arg[0])) = uint32(len(refs))
	for i, ref := range refs {
		*(*[2]uint32)(unsafe.Pointer(&arg[2+i])) = [2]uint32{uint32(domid), uint32(ref)}
	}
	if err := ioctl(fd, ioctlMapGrantRef, unsafe.Pointer(&arg[0])); err != nil {
		_ = unix.Close(fd)
		return nil, failed("map", MapDevice, err)
	}
	p := &Pages{device: MapDevice, fd: fd, index: arg[1], unmap: ioctlUnmapGrantRef, refs: slices.Clone(refs)}
	if err := p.mmap(); err != nil {
		_ = p.Close()
		return nil, failed("map", MapDevice, err)
	}
	return p, nil
}
