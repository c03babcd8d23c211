package daemon

import (
	"cmp"
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/kvm"
	"headgate/wire/pipe"
	"headgate/xen"
)

// outlet is one pipe of a guest, open or to be opened. It comes and goes without
// the guest's others.
type outlet struct {
	config.Pipe
	socket kvm.Socket                // of one that is kvm's
	make   func() (pipe.Pipe, error) // opens it
	owner  atomic.Pointer[kvm.Owner] // who alone may be at its socket; nil: whom its mode lets in
	pipe   atomic.Pointer[pipe.Pipe] // nil: not open, fail says why
	fail   atomic.Pointer[string]
	claim  string             // guarded by Daemon.mu: why a vchan pipe does not get the domain that it names; "": it does
	uuid   string             // guarded by Daemon.mu: of the domain that a vchan pipe led to last
	stop   context.CancelFunc // nil: not started
	done   chan struct{}      // closed when all that start has begun has ended
}

// retry is how long hostd waits before it tries again to make a socket.
const retry = 5 * time.Second

// add gives the guest one pipe more; it is neither open nor started.
func (g *guest) add(p config.Pipe, socket kvm.Socket) *outlet {
	o := &outlet{Pipe: p, socket: socket}
	o.socket.Path = p.Path
	o.make = func() (pipe.Pipe, error) { return g.pipe(o) }
	g.outlets = append(g.outlets, o)
	return o
}

// pipe makes what the outlet's kind is: all kinds are known here.
func (g *guest) pipe(o *outlet) (pipe.Pipe, error) {
	notify := func(e pipe.Event) { g.happened(o.Pipe, e) }
	switch o.Kind {
	case config.Vchan:
		return g.ring(xen.Options{Tap: g.tap, Notify: notify}), nil
	case config.Channel:
		return xen.NewChannel(o.Path, xen.Options{Tap: g.tap, Notify: notify}), nil
	}
	return kvm.Open(kvm.Options{
		Kind: kvm.Kind(o.Kind), Socket: o.socket, Dial: !o.Listens(), Tap: g.tap, Room: g.room, Notify: notify, Owner: o.owner.Load,
	})
}

// at finds the guest's pipe at a path; nil: there is none.
func (g *guest) at(path string) *outlet {
	for _, o := range g.outlets {
		if o.Path == path {
			return o
		}
	}
	return nil
}

// serves says whether the guest has a pipe at a path for a domain's device of a kind;
// QEMU's rng-egd is an EGD client, too.
func (g *guest) serves(kind, path string) bool {
	o := g.at(path)
	return o != nil && (o.Kind == kind || o.Kind == string(kvm.EGD) && kind == string(kvm.QEMU))
}

// give has that process alone be at the pipe's socket from now on, and hangs up on
// who else is there. Of one who is not known it knows nothing better.
func (o *outlet) give(owner *kvm.Owner) {
	if was := o.owner.Load(); owner == nil || was != nil && *was == *owner {
		return
	}
	o.owner.Store(owner)
	if p, judges := o.opened().(*kvm.Pipe); judges {
		p.Judge()
	}
}

// opened is the pipe, if it is open, else nil.
func (o *outlet) opened() pipe.Pipe {
	if p := o.pipe.Load(); p != nil {
		return *p
	}
	return nil
}

// open makes the pipe's socket, or what its socket is to be made in.
func (o *outlet) open() error {
	p, err := o.make()
	if err != nil {
		return o.failed(err)
	}
	o.pipe.Store(&p)
	o.fail.Store(nil)
	return nil
}

// failed notes for the status why the pipe is not open.
func (o *outlet) failed(err error) error {
	why := err.Error()
	o.pipe.Store(nil)
	o.fail.Store(&why)
	return err
}

// start serves the pipe until close. One that could not be opened is tried again.
func (o *outlet) start(ctx context.Context, g *guest) {
	ctx, o.stop = context.WithCancel(ctx)
	o.done = make(chan struct{})
	go func() {
		defer close(o.done)
		o.serve(ctx, g)
	}()
}

func (o *outlet) serve(ctx context.Context, g *guest) {
	for {
		if p := o.opened(); p != nil {
			err := p.Run(ctx)
			if err == nil {
				return
			}
			g.event(slog.LevelError, "pipe_failed", "pipe failed, will be opened again", map[string]string{
				"pipe": o.Path, "error": o.failed(err).Error(),
			})
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(retry):
		}
		if o.open() == nil {
			g.event(slog.LevelInfo, "pipe_opened", "pipe opened", map[string]string{"pipe": o.Path})
		}
	}
}

// hung is how long an outlet that is closed is waited for.
const hung = time.Second

// close ends the pipe and removes its socket. It waits for what serves the pipe's
// clients, all of which ends with the context; but not for ever, for it may be called
// with what all guests share locked: a client that has passed a socket which lingers
// (socket(7), SO_LINGER) keeps who reads from it in the kernel, as long as it likes.
func (o *outlet) close() {
	if o.stop != nil {
		o.stop()
		select {
		case <-o.done:
		case <-time.After(hung):
		}
	} else if p := o.opened(); p != nil {
		p.Close()
	}
}

// connected says whether a client is connected.
func (o *outlet) connected() bool {
	p := o.opened()
	return p != nil && p.Stats().Connected
}

func (o *outlet) status() control.PipeStatus {
	s := control.PipeStatus{Kind: o.Kind, Path: o.Path, Server: o.Server}
	if p := o.opened(); p != nil {
		st := p.Stats()
		s.Connected, s.Connections = st.Connected, st.Connections
		s.Requests, s.Bytes, s.Refused, s.Errors, s.Dropped = st.Requests, st.Bytes, st.Refused, st.Errors, st.Dropped
		if dials, ok := p.(interface{ Trouble() string }); ok {
			s.Error = dials.Trouble()
		}
	}
	if why := o.fail.Load(); why != nil {
		s.Error = *why
	}
	s.Error = cmp.Or(s.Error, o.claim)
	return s
}
