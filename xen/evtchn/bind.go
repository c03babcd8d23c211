//go:build linux

package evtchn

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// ioctl numbers: _IOC(_IOC_NONE, 'E', number, size of the argument), evtchn.h.
const (
	ioctlBindInterdomain = 0x084501 // {remote_domain, remote_port u32}
	ioctlBindUnbound     = 0x044502 // {remote_domain u32}
	ioctlUnbind          = 0x044503 // {port u32}
	ioctlNotify          = 0x044504 // {port u32}
)

// BindInterdomain binds a new port of this domain to one that a domain offers.
func (c *Conn) BindInterdomain(domid uint16, remote Port) (Port, error) {
	arg := [2]uint32{uint32(domid), uint32(remote)}
	return c.bind("bind interdomain", ioctlBindInterdomain, unsafe.Pointer(&arg))
}

// BindUnbound makes a new port that the given domain may bind to.
func (c *Conn) BindUnbound(domid uint16) (Port, error) {
	arg := uint32(domid)
	return c.bind("bind unbound", ioctlBindUnbound, unsafe.Pointer(&arg))
}

// bind makes a call that allocates a port and returns it.
func (c *Conn) bind(op string, request uintptr, arg unsafe.Pointer) (Port, error) {
	if err := c.enter(); err != nil {
		return 0, failed(op, err)
	}
	defer c.leave()
	port, _, errno := unix.Syscall(unix.SYS_IOCTL, c.fd, request, uintptr(arg))
	if errno != 0 {
		return 0, failed(op, errno)
	}
	return Port(port), nil
}

// Unbind gives a port back. An event of it that is already queued may still be
// given by Wait.
func (c *Conn) Unbind(port Port) error {
	if err := c.enter(); err != nil {
		return failed("unbind", err)
	}
	defer c.leave()
	arg := uint32(port)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, c.fd, ioctlUnbind, uintptr(unsafe.Pointer(&arg))); errno != 0 {
		return failed("unbind", errno)
	}
	return nil
}

// Notify sends an event to the other end. It never sleeps. That the other end is
// gone is no error: Xen does not tell.
func (c *Conn) Notify(port Port) error {
	if err := c.enter(); err != nil {
		return failed("notify", err)
	}
	defer c.leave()
	arg := uint32(port)
	for {
		_, _, errno := unix.RawSyscall(unix.SYS_IOCTL, c.fd, ioctlNotify, uintptr(unsafe.Pointer(&arg)))
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return failed("notify", errno)
		}
	}
}
