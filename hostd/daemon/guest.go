package daemon

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"time"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/hostd/events"
	"headgate/hostd/quality"
	"headgate/kvm"
	"headgate/wire/pipe"
	"headgate/xen"
)

// guest is one guest: its tap, which outlives its connections, and its pipes.
type guest struct {
	name    string
	spec    control.GuestSpec // guarded by Daemon.mu, like all down to outlets
	origin  string
	entry   config.Guest // as the configuration file or the domain's policy has it; spec may have been changed live
	class   config.Class // with what the guest has of its own over it
	domain  *domain      // of libvirt's that it is, or that is bound to it; nil: none
	xen     *xenDomain   // of Xen's, likewise
	live    live         // limits that were set of a domain's guest
	outlets []*outlet

	tap  *quality.Tap
	log  *events.Log
	room *kvm.Room
	ring func(xen.Options) ring // makes its vchan pipes
	ctx  context.Context        // of its pipes; nil: not started

	reports reports
}

// socketOf is the socket that a guest's pipes have under a class, but for its path.
func socketOf(class config.Class) (s kvm.Socket, err error) {
	s = kvm.Socket{UID: -1, GID: -1, Mode: os.FileMode(class.SocketMode)}
	if class.SocketOwner != "" {
		s.UID, s.GID, err = class.SocketOwner.Lookup()
	}
	return s, err
}

// open makes the guest's sockets; all errors are told.
func (g *guest) open() error {
	var errs []error
	for _, o := range g.outlets {
		errs = append(errs, o.open())
	}
	return errors.Join(errs...)
}

// start serves the guest's pipes until close.
func (g *guest) start(ctx context.Context) {
	g.ctx = ctx
	for _, o := range g.outlets {
		o.start(ctx, g)
	}
}

// close ends the pipes and removes their sockets.
func (g *guest) close() {
	for _, o := range g.outlets {
		if o.stop != nil {
			o.stop() // all of them end while the first is waited for
		}
	}
	for _, o := range g.outlets {
		o.close()
	}
}

// fresh says that the guest has had nothing yet, though it may be connected: its
// next bytes go first, and a guestd at its end is given new ones at once.
func (g *guest) fresh() {
	g.tap.Fresh()
	g.deliver()
}

// ofDomain says whether the guest was made for a domain, and goes with it.
func (g *guest) ofDomain() bool {
	return g.origin == control.OriginLibvirt || g.origin == control.OriginXen
}

// connected says whether it is, on any of its pipes.
func (g *guest) connected() bool { return slices.ContainsFunc(g.outlets, (*outlet).connected) }

// fits says whether the guest's sockets are as class wants them.
func (g *guest) fits(class config.Class) bool {
	return class.SocketOwner == g.class.SocketOwner && class.SocketMode == g.class.SocketMode
}

// happened writes what a pipe tells into the event log.
func (g *guest) happened(p config.Pipe, e pipe.Event) {
	fields := map[string]string{"pipe": p.String()}
	if e.Peer != nil {
		fields["peer"] = e.Peer.String()
	}
	if e.Err != nil {
		fields["error"] = e.Err.Error()
	}
	switch e.Kind {
	case pipe.Connected:
		if p.ReachesGuestd() {
			g.reports.await(time.Now())
		}
		g.event(slog.LevelInfo, "guest_connected", "guest connected", fields)
	case pipe.Disconnected:
		g.event(slog.LevelInfo, "guest_disconnected", "guest disconnected", fields)
	case pipe.Broken:
		g.event(slog.LevelWarn, "guest_broken", "connection closed: the guest's side broke the protocol or failed", fields)
	case pipe.Refused:
		message := "a client was turned away"
		switch {
		case p.Kind == config.Vchan:
			message = "the ring that the guest offers cannot be connected to, and will be tried again"
		case !p.Listens():
			message = "whoever listens at the socket is not connected to, or not served, and will be tried again"
		}
		g.event(slog.LevelWarn, "peer_refused", message, fields)
	case pipe.Reported:
		g.reported(e.Report)
	}
}

func (g *guest) event(level slog.Level, kind, message string, fields map[string]string) {
	g.log.Add(events.Event{Level: level, Kind: kind, Subject: g.name, Message: message, Fields: fields})
}

func (g *guest) status() control.GuestStatus {
	t := g.tap.Stats()
	s := control.GuestStatus{
		Name: g.spec.Name, Class: g.class.Name, Quality: g.class.Quality,
		Rate: g.class.Rate, Burst: g.class.Burst, Weight: g.class.Weight, DRBGRate: g.class.DRBGRate,
		Origin: g.origin, Transient: g.spec.Transient,
		Bytes: t.Bytes, BytesFull: t.Full.Bytes, BytesDRBG: t.DRBG.Bytes, DRBG: drbgStatus(g.class, t),
		Waiting: t.Waiting, Seeded: t.Seeded,
		ThrottledRate:   t.RateThrottled.Seconds(),
		ThrottledSupply: t.SupplyThrottled.Seconds(),
		FirstBytes:      t.FirstBytes.Seconds(),
		Pipes:           make([]control.PipeStatus, 0, len(g.outlets)),
	}
	g.reports.tell(&s)
	for _, o := range g.outlets {
		p := o.status()
		s.Requests += p.Requests
		s.Pipes = append(s.Pipes, p)
	}
	switch {
	case g.domain != nil:
		s.Domain = g.domain.status()
	case g.xen != nil:
		s.Domain = g.xen.status()
	}
	return s
}
