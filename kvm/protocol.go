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
	"headgate/wire/pipe"
)

// pushed is how many bytes go to QEMU unasked when it connects: they complete
// the request that it lost with the last connection. What the guest did not ask for
// answers its next request. guestd gets as many as its first seed.
const pushed = pipe.Seed

// pid is what the EGD protocol's opcode 4 answers.
var pid = strconv.Itoa(os.Getpid())

// protocol is what a pipe's connections speak.
type protocol interface {
	// serve answers one client until it is gone, and closes conn.
	serve(ctx context.Context, conn *net.UnixConn) error
	// push sends fresh bytes to who is connected, if the protocol has a way to.
	push() bool
	// count adds what all connections have done.
	count(*pipe.Stats)
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

func (p *egdProtocol) count(s *pipe.Stats) {
	s.Requests, s.Bytes, s.Dropped = p.counters.Requests.Load(), p.counters.BytesOut.Load(), p.counters.Pushed.Load()
}

// feedProtocol is spoken on port pipes.
type feedProtocol struct {
	server   host.Server
	counters host.Counters
}

func newFeed(tap wire.Tap, notify func(pipe.Event)) *feedProtocol {
	p := &feedProtocol{}
	p.server = host.Server{
		Tap:       tap,
		PushBytes: pushed,
		Count:     &p.counters,
		Report:    func(r feed.Report) { notify(pipe.Event{Kind: pipe.Reported, Report: r}) },
	}
	return p
}

func (p *feedProtocol) serve(ctx context.Context, conn *net.UnixConn) error {
	return p.server.Serve(ctx, conn)
}

func (p *feedProtocol) push() bool { return p.server.Push() }

func (p *feedProtocol) count(s *pipe.Stats) { p.counters.Tell(s) }
