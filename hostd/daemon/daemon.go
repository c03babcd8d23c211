package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sync/errgroup"

	"headgate/backends/reservoir"
	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/hostd/events"
	"headgate/hostd/metrics"
	"headgate/kvm"
	"headgate/ratelimit"
)

// Options of a Daemon.
type Options struct {
	Version    string
	ConfigPath string // read again by Reload; "" if there is no file
	Level      *slog.LevelVar
	Warnings   []string // of the process, that hold as long as it lives
	shield     *shield  // nil: the guard is off, and the process keeps its rights
	gauge      *gauge   // nil: the meter is off
}

// Daemon is hostd's state. Its methods may be called from many goroutines.
type Daemon struct {
	opt       Options
	started   time.Time
	log       *events.Log
	waits     *metrics.Waits
	reservoir *reservoir.Reservoir
	scheduler *ratelimit.Scheduler
	warnings  []string // that hold as long as the process lives
	shield    *shield
	gauge     *gauge

	seeds  seeds
	room   kvm.Room
	supply supply

	ctx context.Context // of the tasks that sources and guests run

	reload sync.Mutex // one at a time, so that the file read last is in force

	looks   *looks
	resumes *resumes
	clock   clock // of the calls of libvirt's hook

	mu       sync.Mutex
	config   *config.Config
	sources  []*source
	guests   map[string]*guest
	leftOut  []control.GuestSpec // kept from the last run, but not possible now
	unmet    []string            // warnings that the next reload may mend
	domains  map[string]*domain  // of libvirt's, by UUID
	ends     ends                // of those that are gone
	follow   follow              // of libvirt
	xen      *xenSide
	host     *hostFeed
	qemuUser int // whom libvirt runs QEMU as; -1: not known
}

var _ control.Daemon = (*Daemon)(nil)

// New prepares a daemon. It opens nothing but the reservoir's memory.
func New(cfg *config.Config, log *events.Log, opt Options) (*Daemon, error) {
	d := &Daemon{
		opt:      opt,
		started:  time.Now(),
		log:      log,
		waits:    metrics.NewWaits(),
		config:   cfg,
		guests:   map[string]*guest{},
		warnings: opt.Warnings,
		shield:   cmp.Or(opt.shield, &shield{mode: config.GuardOff}),
		gauge:    cmp.Or(opt.gauge, &gauge{mode: config.MeterOff}),
		supply:   supply{changed: make(chan struct{}, 1)},
		looks:    newLooks(),
		resumes:  newResumes(),
		clock:    readClock(),
		domains:  map[string]*domain{},
		follow:   follow{changed: newToken()},
		xen:      newXenSide(),
		host:     newHostFeed(),
		qemuUser: -1,
	}
	var err error
	d.reservoir, err = reservoir.New(reservoir.Config{
		Size:       int(cfg.Reservoir.Size),
		MinSources: cfg.Reservoir.MinSources,
	})
	if err != nil {
		return nil, err
	}
	reserve := int(cfg.Reservoir.BootReserve)
	d.scheduler = ratelimit.NewScheduler(d.reservoir, ratelimit.Options{
		BootReserve: reserve,
		// Half of what is there for all: a shortage that ends and begins again
		// with every block would forget who has had what.
		Plenty:      (d.reservoir.Cap() - reserve) / 2,
		ObserveWait: d.waits.Observe,
	})
	d.reservoir.OnFill(d.scheduler.Wake)
	return d, nil
}

// Run serves until ctx is done. ready is called when every socket that could be
// made is there.
func (d *Daemon) Run(ctx context.Context, ready func()) error {
	tasks, ctx := errgroup.WithContext(ctx)
	d.ctx = ctx
	server := control.NewServer(d.config.Control, d, metrics.Handler(d.Status, d.RNG, d.waits))
	if err := server.Listen(); err != nil {
		return err
	}
	for _, w := range d.warnings {
		d.warn("process", "", w)
	}
	if w := d.shield.warning(); w != "" {
		d.warn("guard_down", "", w)
	}
	d.begin()
	tasks.Go(func() error { return server.Run(ctx) })
	tasks.Go(func() error { return watchdog(ctx, d.alive) })
	tasks.Go(func() error { return d.watchGuard(ctx) })
	tasks.Go(func() error { return d.watchMeter(ctx) })
	tasks.Go(func() error { return d.watchSupply(ctx) })
	tasks.Go(func() error { return d.followLibvirt(ctx) })
	tasks.Go(func() error { return d.followXen(ctx) })
	tasks.Go(func() error { return d.feedHost(ctx) })
	tasks.Go(func() error { return d.looks.run(ctx, d.look) })
	tasks.Go(func() error { return d.resumes.run(ctx, d.resume) })
	tasks.Go(func() error {
		<-ctx.Done()
		tell(systemd.SdNotifyStopping)
		return nil
	})
	ready()
	return errors.Join(tasks.Wait(), d.end())
}

// alive returns if what every byte goes through does. It does not ask for mu,
// which is held while the state file is written.
func (d *Daemon) alive() { d.scheduler.Waiting() }

// end stops guests, then sources, then wipes the reservoir.
func (d *Daemon) end() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, g := range d.guests {
		g.close()
		g.tap.Close()
	}
	if d.host.tap != nil {
		d.host.tap.Close()
	}
	d.guests, d.domains = map[string]*guest{}, map[string]*domain{}
	d.endSources()
	return d.reservoir.Close()
}

// Events is the event log.
func (d *Daemon) Events() *events.Log { return d.log }

func (d *Daemon) event(level slog.Level, kind, subject, message string) {
	d.log.Add(events.Event{Level: level, Kind: kind, Subject: subject, Message: message})
}

func (d *Daemon) warn(kind, subject, message string) { d.event(slog.LevelWarn, kind, subject, message) }

// Status is a snapshot.
func (d *Daemon) Status() control.Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	stats := d.reservoir.Stats()
	s := control.Status{
		Version: d.opt.Version,
		PID:     os.Getpid(),
		Started: d.started,
		Config:  d.opt.ConfigPath,
		Classes: d.config.Classes,
		Reservoir: control.ReservoirStatus{
			Level:            d.reservoir.Level(),
			Capacity:         d.reservoir.Cap(),
			BootReserve:      int(d.config.Reservoir.BootReserve),
			MinSources:       d.config.Reservoir.MinSources,
			ConditionedBytes: stats.Bytes,
		},
		Sources:    d.sourceStatus(),
		Guests:     d.guestStatus(),
		SeedsGiven: d.seeds.total(),
		Host:       d.hostStatus(),
		Libvirt:    d.libvirtStatus(),
		Xen:        d.xenStatus(),
		Guard:      d.shield.status(),
		Warnings:   append(append([]string{}, d.warnings...), d.unmet...),
	}
	if w := d.shield.warning(); w != "" {
		s.Warnings = append(s.Warnings, w)
	}
	for _, spec := range d.leftOut {
		s.Warnings = append(s.Warnings, fmt.Sprintf("guest %s, added live in an earlier run, is left out: hostd events says why", spec.Name))
	}
	if why := s.Host.Error; why != "" {
		s.Warnings = append(s.Warnings, hostUnfed+why)
	}
	s.Reservoir.Origins = origins(s.Sources)
	s.Reservoir.OriginsUp = countUp(s.Reservoir.Origins)
	s.Reservoir.Waiting = lack(s.Sources, s.Reservoir.MinSources)
	return s
}
