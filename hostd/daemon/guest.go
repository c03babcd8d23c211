package daemon

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/hostd/events"
	"headgate/kvm"
	"headgate/ratelimit"
	"headgate/wire/feed"
)

// guest is one guest: its tap, which outlives its connections, and its pipes.
type guest struct {
	name    string
	spec    control.GuestSpec // guarded by Daemon.mu, like origin, entry and class
	origin  string
	entry   config.Guest // as the configuration file has it; spec may have been changed live
	class   config.Class // with what the guest has of its own over it
	tap     *ratelimit.Tap
	outlets []*outlet
	log     *events.Log

	report atomic.Pointer[control.Report]
	stop   context.CancelFunc
	tasks  sync.WaitGroup
}

// outlet is one pipe of a guest, open or to be opened.
type outlet struct {
	opt  kvm.Options
	pipe atomic.Pointer[kvm.Pipe] // nil: not open, failure says why
	fail atomic.Pointer[string]
}

// retry is how long hostd waits before it tries again to make a socket.
const retry = 5 * time.Second

// newGuest prepares a guest; nothing is open yet.
func newGuest(spec control.GuestSpec, origin string, class config.Class, tap *ratelimit.Tap, log *events.Log, room *kvm.Room) (*guest, error) {
	g := &guest{name: spec.Name, spec: spec, origin: origin, class: class, tap: tap, log: log}
	uid, gid := -1, -1
	if class.SocketOwner != "" {
		var err error
		if uid, gid, err = class.SocketOwner.Lookup(); err != nil {
			return nil, err
		}
	}
	for _, p := range spec.Pipes {
		g.outlets = append(g.outlets, &outlet{opt: kvm.Options{
			Kind:   kvm.Kind(p.Kind),
			Socket: kvm.Socket{Path: p.Path, UID: uid, GID: gid, Mode: os.FileMode(class.SocketMode)},
			Tap:    tap,
			Room:   room,
			Notify: func(e kvm.Event) { g.happened(p, e) },
		}})
	}
	return g, nil
}

// open makes the guest's sockets; all errors are told.
func (g *guest) open() error {
	var errs []error
	for _, o := range g.outlets {
		errs = append(errs, o.open())
	}
	return errors.Join(errs...)
}

func (o *outlet) open() error {
	p, err := kvm.Open(o.opt)
	if err != nil {
		return o.failed(err)
	}
	o.pipe.Store(p)
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

// start serves the guest's pipes until close. A pipe that could not be opened is
// tried again.
func (g *guest) start(ctx context.Context) {
	ctx, g.stop = context.WithCancel(ctx)
	for _, o := range g.outlets {
		g.tasks.Add(1)
		go g.serve(ctx, o)
	}
}

func (g *guest) serve(ctx context.Context, o *outlet) {
	defer g.tasks.Done()
	for {
		if p := o.pipe.Load(); p != nil {
			err := p.Run(ctx)
			if err == nil {
				return
			}
			g.event(slog.LevelError, "pipe_failed", "pipe failed, will be opened again", map[string]string{
				"pipe": o.opt.Socket.Path, "error": o.failed(err).Error(),
			})
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(retry):
		}
		if o.open() == nil {
			g.event(slog.LevelInfo, "pipe_opened", "pipe opened", map[string]string{"pipe": o.opt.Socket.Path})
		}
	}
}

// close ends the pipes and removes their sockets.
func (g *guest) close() {
	if g.stop != nil {
		g.stop()
	}
	g.tasks.Wait()
	for _, o := range g.outlets {
		if p := o.pipe.Load(); p != nil {
			p.Close() // of one that ran this is the second time, and harmless
		}
	}
}

// fits says whether the guest's sockets are as class wants them.
func (g *guest) fits(class config.Class) bool {
	return class.SocketOwner == g.class.SocketOwner && class.SocketMode == g.class.SocketMode
}

// happened writes what a pipe tells into the event log.
func (g *guest) happened(p config.Pipe, e kvm.Event) {
	fields := map[string]string{"pipe": p.Kind + ":" + p.Path, "peer": e.Peer.String()}
	if e.Err != nil {
		fields["error"] = e.Err.Error()
	}
	switch e.Kind {
	case kvm.Connected:
		g.event(slog.LevelInfo, "guest_connected", "guest connected", fields)
	case kvm.Disconnected:
		g.event(slog.LevelInfo, "guest_disconnected", "guest disconnected", fields)
	case kvm.Broken:
		g.event(slog.LevelWarn, "guest_broken", "connection closed: the guest's side broke the protocol or failed", fields)
	case kvm.Refused:
		g.event(slog.LevelWarn, "peer_refused", "a client was turned away", fields)
	case kvm.Reported:
		g.reported(e.Report)
	}
}

func (g *guest) reported(r feed.Report) {
	report := &control.Report{
		Received:     time.Now(),
		Version:      r.Version,
		BootID:       bootID(r.Boot),
		SeededAt:     time.Unix(0, r.Seeded),
		CreditedBits: r.Credited,
		Reason:       r.Reason,
	}
	g.report.Store(report)
	g.event(slog.LevelInfo, "guest_reported", "guestd reported", map[string]string{
		"boot_id": report.BootID, "credited_bits": strconv.FormatUint(r.Credited, 10),
		"reason": r.Reason, "version": r.Version,
	})
}

func (g *guest) event(level slog.Level, kind, message string, fields map[string]string) {
	g.log.Add(events.Event{Level: level, Kind: kind, Subject: g.name, Message: message, Fields: fields})
}

// limits are the tap's limits under a class.
func limits(c config.Class) ratelimit.Limits {
	return ratelimit.Limits{Rate: c.Rate.PerSecond(), Burst: int(c.Burst), Weight: c.Weight}
}

func (g *guest) status() control.GuestStatus {
	t := g.tap.Stats()
	s := control.GuestStatus{
		Name: g.spec.Name, Class: g.class.Name, Quality: g.class.Quality,
		Rate: g.class.Rate, Burst: g.class.Burst, Weight: g.class.Weight,
		Origin: g.origin, Transient: g.spec.Transient,
		Bytes: t.Bytes, Waiting: t.Waiting, Seeded: t.Seeded,
		ThrottledRate:   t.RateThrottled.Seconds(),
		ThrottledSupply: t.SupplyThrottled.Seconds(),
		FirstBytes:      t.FirstBytes.Seconds(),
		LastReport:      g.report.Load(),
		Pipes:           make([]control.PipeStatus, 0, len(g.outlets)),
	}
	for _, o := range g.outlets {
		p := o.status()
		s.Requests += p.Requests
		s.Pipes = append(s.Pipes, p)
	}
	return s
}

func (o *outlet) status() control.PipeStatus {
	s := control.PipeStatus{Kind: string(o.opt.Kind), Path: o.opt.Socket.Path}
	if p := o.pipe.Load(); p != nil {
		st := p.Stats()
		s.Connected, s.Connections = st.Connected, st.Connections
		s.Requests, s.Bytes, s.Refused, s.Errors, s.Dropped = st.Requests, st.Bytes, st.Refused, st.Errors, st.Dropped
	}
	if why := o.fail.Load(); why != nil {
		s.Error = *why
	}
	return s
}

const hexDigits = "0123456789abcdef"

// bootID writes a boot id as /proc/sys/kernel/random/boot_id does.
func bootID(id [16]byte) string {
	b := make([]byte, 0, 36)
	for i, v := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			b = append(b, '-')
		}
		b = append(b, hexDigits[v>>4], hexDigits[v&15])
	}
	return string(b)
}
