package kvm

import (
	"context"
	"net"
	"os"
	"strconv"

	"headgate/wire"
	"headgate/wire/egd"
	"headgate/wire/feed"
	"headgate/wire/feed/host"
)

// pushed is how many bytes go to QEMU unasked when it connects: they complete
// the request that it lost with the last connection. A Linux guest's hwrng core
// asks for 64 bytes at a time on x86. What the guest did not ask for answers its
// next request. guestd gets as many as its first seed.
const pushed = 64

// pid is what the EGD protocol's opcode 4 answers.
var pid = strconv.Itoa(os.Getpid())

// protocol is what a pipe's connections speak.
type protocol interface {
	// serve answers one client until it is gone, and closes conn.
	serve(ctx context.Context, conn *net.UnixConn) error
	// push sends fresh bytes to who is connected, if the protocol has a way to.
	push() bool
	// count adds what all connections have done.
	count(*Stats)
}

// egdProtocol is spoken on qemu and egd pipes.
type egdProtocol struct {
	server   egd.Server
	counters egd.Counters
}

func newEGD(tap wire.Tap, push int) *egdProtocol {
	p := &egdProtocol{}
	p.server = egd.Server{Tap: tap, Push: push, PID: pid, Count: &p.counters}
	return p
}

func (p *egdProtocol) serve(ctx context.Context, conn *net.UnixConn) error {
	return p.server.Serve(ctx, conn)
}

// push does nothing: in this protocol what nobody asked for can only lie in wait
// for the next request.
func (p *egdProtocol) push() bool { return false }

func (p *egdProtocol) count(s *Stats) {
	s.Requests, s.Bytes, s.Dropped = p.counters.Requests.Load(), p.counters.BytesOut.Load(), p.counters.Pushed.Load()
}

// feedProtocol is spoken on port pipes.
type feedProtocol struct {
	server   host.Server
	counters host.Counters
}

func newFeed(tap wire.Tap, notify func(Event)) *feedProtocol {
	p := &feedProtocol{}
	p.server = host.Server{
		Tap:       tap,
		PushBytes: pushed,
		Count:     &p.counters,
		Report:    func(r feed.Report) { notify(Event{Kind: Reported, Report: r}) },
	}
	return p
}

func (p *feedProtocol) serve(ctx context.Context, conn *net.UnixConn) error {
	return p.server.Serve(ctx, conn)
}

func (p *feedProtocol) push() bool { return p.server.Push() }

func (p *feedProtocol) count(s *Stats) {
	s.Requests, s.Bytes, s.Dropped = p.counters.Requests.Load(), p.counters.BytesOut.Load(), p.counters.Refused.Load()
	s.Errors += p.counters.Garbage.Load()
}
