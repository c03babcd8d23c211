//go:build linux

package sign

import (
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"headgate/guestd/kernel"
	"headgate/wire/feed"
)

// messageMax is how much of a message is read: IFLA_EVENT stands within its first
// kilobyte (rtnl_fill_ifinfo, net/core/rtnetlink.c).
const messageMax = 4096

// peers waits until a link is told to announce itself to its peers: QEMU tells
// virtio-net after every restore, migration and loadvm, and so do Xen's and Hyper-V's
// links when they are connected again. The kernel tells whoever listens for links.
type peers struct {
	socket *os.File
	raw    syscall.RawConn
	kernel func(unix.Sockaddr) bool
	now    func() time.Time
	guid   string
	buf    [messageMax]byte
}

func (w *Watcher) openPeers() (*peers, error) {
	socket, err := w.links()
	var raw syscall.RawConn
	if err == nil {
		if raw, err = socket.SyscallConn(); err != nil {
			_ = socket.Close()
		}
	}
	if err != nil {
		return nil, &trouble{"links are not watched", err,
			"guestd needs AF_NETLINK; in its unit, RestrictAddressFamilies=AF_NETLINK"}
	}
	return &peers{socket: socket, raw: raw, kernel: w.kernel, now: w.now, guid: w.path(kernel.GUIDPath)}, nil
}

// openRoute opens a netlink socket that hears of links (rtnetlink(7)).
func openRoute() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	// Where the kernel does not take the filter, more is read, and dropped here.
	_ = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, announcements())
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_LINK}); err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("bind", err)
	}
	return os.NewFile(uintptr(fd), "netlink"), nil // non-blocking: its reads wait in the poller
}

// fromKernel: anybody with CAP_NET_ADMIN can send to the socket, too.
func fromKernel(from unix.Sockaddr) bool {
	s, ok := from.(*unix.SockaddrNetlink)
	return ok && s.Pid == 0
}

func (p *peers) run(stop <-chan struct{}, out chan<- Sign) {
	var limit pace
	var b burst
	for {
		heard, err := p.receive()
		switch {
		case err == nil:
		case errors.Is(err, unix.ENOBUFS): // messages were lost: one of them may have been it
			heard = true
		case errors.Is(err, os.ErrDeadlineExceeded):
		default:
			return
		}
		if b.at(p.now(), heard) && !tell(p.sign(), stop, out) {
			return
		}
		_ = p.socket.SetReadDeadline(b.ends)
		if err == nil && !rest(limit.took(p.now()), stop) {
			return
		}
	}
}

// receive receives one message and says whether it is an announcement.
func (p *peers) receive() (heard bool, err error) {
	var n int
	var from unix.Sockaddr
	waited := p.raw.Read(func(fd uintptr) bool {
		n, from, err = unix.Recvfrom(int(fd), p.buf[:], 0)
		return !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
	})
	if waited != nil {
		return false, waited
	}
	return err == nil && p.kernel(from) && announced(p.buf[:n]), err
}

// sign has the GUID with it, if there is one: it is another by now in every twin.
func (p *peers) sign() Sign {
	s := Sign{Reason: feed.ReasonPeers}
	if g, err := openGeneration(p.guid); err == nil {
		s.Mix, s.N = g.last, guidSize
		_ = g.raw.Close()
	}
	return s
}
