package kvm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"headgate/wire"
	"headgate/wire/feed"
)

// Kind says which protocol a pipe speaks, and how strictly.
type Kind string

const (
	QEMU Kind = "qemu" // QEMU's rng-egd connects to it
	EGD  Kind = "egd"  // any EGD client
	Port Kind = "port" // a virtio-serial port's chardev connects to it; guestd is at its end
)

const (
	// clients is how many may be connected to one egd pipe at once, if there is
	// room. QEMU and a virtio-serial port are one client each.
	clients = 1024
	// sendBuffer bounds the bytes that a client has asked for and does not read,
	// in bytes; the kernel doubles it (socket(7)).
	sendBuffer = 4096
)

// Tap is what a pipe draws from.
type Tap interface {
	wire.Tap
	// Fresh says that the guest has connected, and has had nothing yet.
	Fresh()
}

// Event is something that happened on a pipe.
type Event struct {
	Kind   EventKind
	Peer   Peer
	Err    error       // why, with Disconnected, Refused and Broken
	Report feed.Report // with Reported
}

// EventKind says what happened.
type EventKind int

const (
	Connected    EventKind = iota
	Disconnected           // the client left
	Broken                 // the client broke the protocol, or the connection failed
	Refused                // a client was turned away
	Reported               // guestd said what it did
)

// Options of a pipe.
type Options struct {
	Kind   Kind
	Socket Socket
	Tap    Tap
	Room   *Room       // for an egd pipe's clients; may be nil
	Notify func(Event) // must not block
	// Owner is asked, for each client, who alone may be one. Where it is nil or
	// says nil, the socket's mode alone decides. It must not block. When it says
	// another than before, Judge is to be called.
	Owner func() *Owner
}

// Stats is what happened on a pipe, over all its connections.
type Stats struct {
	Connected   bool
	Connections uint64
	Requests    uint64
	Bytes       uint64
	Refused     uint64 // clients turned away
	Errors      uint64 // connections closed for what came from them, and reads of garbage
	Dropped     uint64 // what was asked for or offered and not taken: EGD's 03, requests beyond the bound
}

// Pipe is a socket, and the connections of one guest to it.
type Pipe struct {
	opt      Options
	listener *Listener
	protocol protocol
	pin      pin

	mu    sync.Mutex
	conns map[*net.UnixConn]*client
	tasks sync.WaitGroup

	judged atomic.Uint64 // how often Judge was called; rises with mu held

	accepted, refused, broken atomic.Uint64
}

// Open makes the pipe's socket; Run serves it. An error says what to do.
func Open(opt Options) (*Pipe, error) {
	p := &Pipe{opt: opt, pin: pinPeer, conns: map[*net.UnixConn]*client{}}
	switch opt.Kind {
	case QEMU:
		p.protocol = newEGD(opt.Tap, pushed)
	case EGD:
		p.protocol = newEGD(opt.Tap, 0)
	case Port:
		p.protocol = newFeed(opt.Tap, p.notify)
	default:
		return nil, fmt.Errorf("pipe %q: no such kind", opt.Kind)
	}
	var err error
	if p.listener, err = Listen(opt.Socket); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Pipe) notify(e Event) {
	if p.opt.Notify != nil {
		p.opt.Notify(e)
	}
}

// Run serves clients until ctx is done. It has then closed and removed the
// socket, and ended every connection.
func (p *Pipe) Run(ctx context.Context) error {
	context.AfterFunc(ctx, func() { p.listener.Close() })
	defer p.tasks.Wait()
	defer p.hangUp()
	defer p.listener.Close()
	for {
		conn, err := p.listener.AcceptUnix()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if errors.Is(err, os.ErrClosed) || errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("accept on %s: %w", p.opt.Socket.Path, err)
			}
			// A client that has gone again, or no descriptor left: the next
			// may do better, and the kernel makes us wait for it.
			p.refused.Add(1)
			p.notify(Event{Kind: Refused, Err: err})
			if !pause(ctx, err) {
				return nil
			}
			continue
		}
		p.welcome(ctx, conn)
	}
}

// Push sends the guest fresh bytes that it did not ask for, because it was
// restored, cloned or migrated, and says whether they are on their way: on a port
// pipe, if the guest is connected. If it is not, or its QEMU is a new one, its next
// connection begins so anyhow. The caller marks the tap as fresh before.
func (p *Pipe) Push() bool { return p.protocol.push() }

// Close removes the socket of a pipe that is not run.
func (p *Pipe) Close() error { return p.listener.Close() }

// Stats is a snapshot.
func (p *Pipe) Stats() Stats {
	p.mu.Lock()
	connected := false
	for _, c := range p.conns {
		connected = connected || !c.expelled
	}
	p.mu.Unlock()
	s := Stats{
		Connected:   connected,
		Connections: p.accepted.Load(),
		Refused:     p.refused.Load(),
		Errors:      p.broken.Load(),
	}
	p.protocol.count(&s)
	return s
}
