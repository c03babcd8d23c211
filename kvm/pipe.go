package kvm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"headgate/wire/pipe"
)

// Kind says which protocol a pipe speaks, and how strictly.
type Kind string

const (
	QEMU      Kind = "qemu"       // QEMU's rng-egd connects to it
	EGD       Kind = "egd"        // any EGD client
	VhostUser Kind = "vhost-user" // QEMU's vhost-user-rng is at its other end
	Port      Kind = "port"       // a virtio-serial port's chardev connects to it; guestd is at its end
)

const (
	// clients is how many may be connected to one egd pipe at once, if there is
	// room. QEMU and a virtio-serial port are one each.
	clients = 1024
	// sendBuffer bounds the bytes that a client has asked for and does not read,
	// in bytes; the kernel doubles it (socket(7)).
	sendBuffer = 4096
)

// Options of a pipe.
type Options struct {
	Kind   Kind
	Socket Socket
	// Dial has the pipe connect to the socket, where another listens, again and
	// again. Socket.UID is then who may make it, in a folder that is made for it.
	Dial   bool
	Tap    pipe.Tap
	Room   *Room            // for an egd pipe's clients; may be nil
	Notify func(pipe.Event) // must not block
	// Owner is asked, for each client, who alone may be one. Where it is nil or
	// says nil, the socket's mode alone decides. It must not block. When it says
	// another than before, Judge is to be called.
	Owner func() *Owner
}

// Pipe is a socket, and the connections of one guest to it.
type Pipe struct {
	opt      Options
	listener *Listener    // nil: it connects
	redial   *pipe.Redial // nil: it listens
	protocol protocol
	pin      pin

	mu    sync.Mutex
	conns map[*net.UnixConn]*client
	tasks sync.WaitGroup

	judged atomic.Uint64 // how often Judge was called; rises with mu held

	accepted, refused, broken atomic.Uint64
}

var _ pipe.Pipe = (*Pipe)(nil)

// Open makes the pipe's socket, or the folder of one that it connects to; Run serves
// it. An error says what to do.
func Open(opt Options) (*Pipe, error) {
	p := &Pipe{opt: opt, pin: pinPeer, conns: map[*net.UnixConn]*client{}}
	switch opt.Kind {
	case QEMU:
		p.protocol = newEGD(opt.Tap, pushed)
	case EGD:
		p.protocol = newEGD(opt.Tap, 0)
	case VhostUser:
		p.protocol = newVhostUser(opt.Tap)
	case Port:
		p.protocol = newFeed(opt.Tap, p.notify)
	default:
		return nil, fmt.Errorf("pipe %q: no such kind", opt.Kind)
	}
	err := p.open()
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Pipe) open() (err error) {
	if p.opt.Dial {
		return p.openDial()
	}
	p.listener, err = Listen(p.opt.Socket)
	return err
}

func (p *Pipe) notify(e pipe.Event) {
	if p.opt.Notify != nil {
		p.opt.Notify(e)
	}
}

// Run serves clients until ctx is done. It has then closed and removed the
// socket, and ended every connection.
func (p *Pipe) Run(ctx context.Context) error {
	if p.redial != nil {
		p.runDial(ctx)
		return nil
	}
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
			p.notify(pipe.Event{Kind: pipe.Refused, Err: err})
			if !pause(ctx, err) {
				return nil
			}
			continue
		}
		p.welcome(ctx, conn)
	}
}

// Push is for a port pipe; on others it does nothing.
func (p *Pipe) Push() bool { return p.protocol.push() }

// Close removes the socket of a pipe that is not run, or the folder that was made for
// it, if nobody has a socket in that.
func (p *Pipe) Close() error {
	if p.redial != nil {
		RemoveFolder(p.opt.Socket.Path)
		return nil
	}
	return p.listener.Close()
}

// Stats is a snapshot.
func (p *Pipe) Stats() pipe.Stats {
	p.mu.Lock()
	connected := false
	for _, c := range p.conns {
		connected = connected || !c.expelled
	}
	p.mu.Unlock()
	s := pipe.Stats{
		Connected:   connected,
		Connections: p.accepted.Load(),
		Refused:     p.refused.Load(),
		Errors:      p.broken.Load(),
	}
	p.protocol.count(&s)
	return s
}
