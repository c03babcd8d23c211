package daemon

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync/atomic"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/wire/pipe"
	"headgate/xen"
	"headgate/xen/xenstore"
)

// xenSide is what hostd knows of Xen. Guarded by Daemon.mu, but for host and changed.
type xenSide struct {
	host    xenHost
	changed token // the configuration wants it followed otherwise
	status  control.XenStatus
	domains map[uint16]*xenDomain

	follower atomic.Pointer[xen.Follower] // nil: none
}

// ring makes the pipe of a guest, which rings for guestd through the follower.
func (x *xenSide) ring(o xen.Options) ring {
	o.Bell = x.bell
	return x.host.ring(o)
}

// bell has guestd of a domain, if it runs there, offer a ring. It does not wait.
func (x *xenSide) bell(domid uint16) {
	if f := x.follower.Load(); f != nil {
		f.Bell(domid)
	}
}

// xenHost is how Xen is reached; tests have another.
type xenHost struct {
	dom0 func() error // says why this host is no dom0
	open func(socket string) (*xenstore.Conn, string, error)
	ring func(xen.Options) ring
}

// ring is a vchan pipe: a xen.Ring. None of its own methods waits.
type ring interface {
	pipe.Pipe
	Offer(xen.Offer)
	Await(domid uint16)
	Withdraw()
	Trouble() string
}

func newXenSide() *xenSide {
	return &xenSide{
		host: xenHost{
			dom0: xen.Dom0,
			open: openXenstore,
			ring: func(o xen.Options) ring { return xen.NewRing(o) },
		},
		changed: newToken(),
		domains: map[uint16]*xenDomain{},
	}
}

// openXenstore connects to xenstored where the configuration says, or where it is.
func openXenstore(socket string) (*xenstore.Conn, string, error) {
	if socket != "" {
		c, err := xenstore.Dial(socket)
		return c, socket, err
	}
	where := xenstore.SocketPath
	if _, err := os.Stat(where); err != nil {
		where = xenstore.DevicePath
	}
	c, err := xenstore.Open()
	return c, where, err
}

// followXen is the task that follows Xen's domains as long as the configuration wants
// it, where there are any. That this host is no dom0 is no error, and the end of it
// until the configuration is read again.
func (d *Daemon) followXen(ctx context.Context) error {
	return d.xen.changed.each(ctx, func(ctx context.Context) {
		if f := d.xenFollower(d.xen.host.dom0()); f != nil {
			_ = f.Run(ctx) // it ends with its context alone
		}
		<-ctx.Done()
	})
}

// xenFollower makes the follower that the configuration wants; nil: none.
func (d *Daemon) xenFollower(notDom0 error) *xen.Follower {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.xen.status = control.XenStatus{Dom0: notDom0 == nil}
	d.xen.follower.Store(nil)
	if d.config.Xen.Follow && notDom0 != nil {
		d.xen.status.Error = notDom0.Error()
		for _, g := range d.guests {
			if slices.ContainsFunc(g.outlets, (*outlet).isRing) {
				d.warn("xen_lost", g.name, "it has a vchan pipe, which nothing will come through: "+notDom0.Error())
			}
		}
	}
	if !d.config.Xen.Follow || notDom0 != nil {
		// Nobody would say that one has gone, and what is mapped of it would keep it.
		clear(d.xen.domains)
		d.placeXen()
		return nil
	}
	socket := d.config.Xen.Socket
	f := &xen.Follower{
		Open: func() (*xenstore.Conn, string, error) { return d.xen.host.open(socket) },
		Sink: xenSink{d},
	}
	d.xen.follower.Store(f)
	return f
}

// xenStatus is called with mu held.
func (d *Daemon) xenStatus() control.XenStatus {
	s := d.xen.status
	s.Follow, s.Unlisted = d.config.Xen.Follow, d.config.Xen.Unlisted
	for _, m := range d.xen.domains {
		if m.guest != nil { // which tells of its problems
			s.Domains++
			continue
		}
		for _, p := range m.problems {
			s.Problems = append(s.Problems, control.DomainProblem{Domain: m.String(), ID: int(m.ID), Problem: p})
		}
	}
	s.Problems, s.ProblemCount = firstProblems(s.Problems)
	return s
}

// lacking is why no vchan pipe can be connected; "": nothing keeps it from that.
func (x *xenSide) lacking(c config.Xen) string {
	switch {
	case !c.Follow:
		return "Xen's domains are not followed: xen.follow is false in hostd's configuration"
	case x.status.Error != "":
		return "Xen's domains are not followed: " + x.status.Error
	}
	return ""
}

// xenSink is told of domains by xenstored.
type xenSink struct{ d *Daemon }

var _ xen.Sink = xenSink{}

// told has a word about Xen's domains taken in, and acted upon if it says that others
// may have to be placed anew.
func (s xenSink) told(take func(*xenSide) (others bool)) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	if s.d.ctx.Err() == nil && take(s.d.xen) {
		s.d.placeXen()
	}
}

// Up takes in that a domain is there, and how it is.
func (s xenSink) Up(domain xen.Domain) {
	s.told(func(x *xenSide) bool {
		renews := x.domains[domain.ID].renews(domain)
		x.take(domain)
		if m := x.domains[domain.ID]; renews && m.outlet != nil {
			m.outlet.feed(m)
		}
		return !renews
	})
}

// Down takes in that a domain has gone.
func (s xenSink) Down(id uint16) {
	s.told(func(x *xenSide) bool {
		delete(x.domains, id)
		return true
	})
}

// All takes in which domains there are.
func (s xenSink) All(domains []xen.Domain) {
	s.told(func(x *xenSide) bool {
		there := make(map[uint16]bool, len(domains))
		for _, domain := range domains {
			there[domain.ID] = true
			x.take(domain)
		}
		for id := range x.domains {
			if !there[id] {
				delete(x.domains, id)
			}
		}
		return true
	})
}

// Connected notes that Xen is followed.
func (s xenSink) Connected(where string) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	x := &s.d.xen.status
	x.Connected, x.Socket, x.Error = true, where, ""
	s.d.event(slog.LevelInfo, "xen_connected", "", "following Xen's domains in the xenstore at "+where)
}

// Lost notes why Xen is not followed. That xenstored is not there yet is nothing to
// worry about; that it was there and is gone is.
func (s xenSink) Lost(err error) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	x := &s.d.xen.status
	level, message := slog.LevelWarn, "xenstored is not followed, and Xen's domains are taken for what they were: "
	if !x.Connected && errors.Is(err, fs.ErrNotExist) {
		level, message = slog.LevelInfo, "no xenstored is there to be followed; when it comes it will be: "
	}
	x.Connected, x.Error = false, err.Error()
	s.d.event(level, "xen_lost", "", message+err.Error())
}
