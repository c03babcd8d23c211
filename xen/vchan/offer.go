package vchan

import (
	"errors"
	"io/fs"
	"strconv"
	"syscall"

	"headgate/xen/evtchn"
	"headgate/xen/grant"
	"headgate/xen/xenstore"
)

// Config says with whom and where.
type Config struct {
	Domain uint16 // the peer
	// Path is the base of the two nodes in xenstore: a server's relative to its own
	// domain (data/headgate), a client's absolute (/local/domain/5/data/headgate).
	// libxenvchan takes at most 49 characters.
	Path string
	// Read and Write are the least sizes of the rings in bytes, as a server sees
	// them; 0: the small ones in the page, of 2 KiB and of 1 KiB.
	Read, Write int
}

// Offer is what a server's nodes in xenstore say.
type Offer struct {
	Ref  grant.Ref   // the shared page
	Port evtchn.Port // to bind to
}

// The names of the nodes under Config.Path.
const (
	nodeRef  = "/ring-ref"
	nodePort = "/event-channel"
)

// ReadOffer reads the nodes under path. The error is fs.ErrNotExist while there is
// no server.
func ReadOffer(s *xenstore.Conn, path string) (Offer, error) {
	ref, err := number(s, path+nodeRef)
	if err != nil {
		return Offer{}, err
	}
	port, err := number(s, path+nodePort)
	if err != nil {
		return Offer{}, err
	}
	return Offer{grant.Ref(ref), evtchn.Port(port)}, nil
}

// number reads a node that is a decimal u32, written as everybody writes it.
func number(s *xenstore.Conn, path string) (uint32, error) {
	text, err := s.Read(path)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || strconv.FormatUint(n, 10) != text {
		return 0, failed("offer "+path+": not a decimal number of 32 bits", syscall.EINVAL)
	}
	return uint32(n), nil
}

// publish writes the nodes of a server's offer, for the peer and nobody else. The port
// comes last, so that what is not whole is no offer yet. libxenvchan does it in a
// transaction; but a process of a guest must have none open when that is to be saved:
// Linux freezes the process, and then waits for the end of its transaction for ever
// (xs_suspend_enter, drivers/xen/xenbus/xenbus_xs.c).
func publish(s *xenstore.Conn, c Config, o Offer) error {
	allow := func(string) error { return nil } // domain 0 may read all that there is
	if c.Domain != 0 {
		own, err := number(s, "domid")
		if err != nil {
			return err
		}
		if own > 0xffff {
			return failed("publish: domid", syscall.EINVAL)
		}
		allow = func(path string) error {
			return s.SetPerms(path,
				xenstore.Perm{Domain: uint16(own), Access: xenstore.None},
				xenstore.Perm{Domain: c.Domain, Access: xenstore.ReadOnly})
		}
	}
	for _, n := range [...]struct {
		path  string
		value uint32
	}{{c.Path + nodeRef, uint32(o.Ref)}, {c.Path + nodePort, uint32(o.Port)}} {
		if err := s.Write(n.path, strconv.FormatUint(uint64(n.value), 10)); err != nil {
			return err
		}
		if err := allow(n.path); err != nil {
			return err
		}
	}
	return nil
}

// withdraw removes the nodes, if they are still this offer's, and what holds nothing
// else. It has no transaction, as publish has none.
func withdraw(s *xenstore.Conn, path string, o Offer) error {
	if now, err := ReadOffer(s, path); err != nil || now != o {
		return nil //nolint:nilerr // another server's, or none: not ours to remove
	}
	for _, node := range [...]string{nodePort, nodeRef} {
		if err := remove(s, path+node); err != nil {
			return err
		}
	}
	if left, err := s.List(path); err != nil || len(left) > 0 {
		return err
	}
	return remove(s, path)
}

// remove removes a node that may not be there.
func remove(s *xenstore.Conn, path string) error {
	if err := s.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
