package kvm

import (
	"context"
	"net"

	"headgate/kvm/vhost"
	"headgate/wire/pipe"
)

// vhostUser is spoken on vhost-user pipes: the front end is the guest's QEMU.
type vhostUser struct {
	server   vhost.Server
	counters vhost.Counters
}

func newVhostUser(tap pipe.Tap) *vhostUser {
	p := &vhostUser{}
	p.server = vhost.Server{Tap: tap, Count: &p.counters}
	return p
}

func (p *vhostUser) serve(ctx context.Context, conn *net.UnixConn) error {
	return p.server.Serve(ctx, conn)
}

// push does nothing: a guest's kernel has no buffer there for what it did not ask for.
func (p *vhostUser) push() bool { return false }

func (p *vhostUser) count(s *pipe.Stats) {
	s.Requests, s.Bytes = p.counters.Requests.Load(), p.counters.Bytes.Load()
}
