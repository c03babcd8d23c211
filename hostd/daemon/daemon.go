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

	room   kvm.Room
	supply supply

	ctx context.Context // of the tasks that sources and guests run

	reload sync.Mutex // one at a time, so that the file read last is in force

	mu      sync.Mutex
	config  *config.Config
	sources []*source
	guests  map[string]*guest
	leftOut []control.GuestSpec // kept from the last run, but not possible now
	unmet   []string            // warnings that the next reload may mend
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
		supply:   supply{changed: make(chan struct{}, 1)},
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
	server := control.NewServer(d.config.Control, d, metrics.Handler(d.Status, d.waits))
	if err := server.Listen(); err != nil {
		return err
	}
	for _, w := range d.warnings {
		d.warn("process", "", w)
	}
	d.begin()
	tasks.Go(func() error { return server.Run(ctx) })
	tasks.Go(func() error { return watchdog(ctx, d.alive) })
	tasks.Go(func() error { return d.watchSupply(ctx) })
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

// begin starts what the configuration and the state file ask for. What one
// guest lacks does not keep the others from being served.
func (d *Daemon) begin() {
	d.mu.Lock()
	defer d.mu.Unlock()
	kept, err := loadState(d.config.State)
	if err != nil {
		d.warnings = append(d.warnings, err.Error())
		d.event(slog.LevelError, "state_unreadable", "", err.Error())
	}
	d.setSources(d.config.Sources)
	pipes := 0
	for _, spec := range kept.Guests {
		pipes += len(spec.Pipes)
	}
	for _, g := range d.config.Guests {
		pipes += len(g.Pipes)
	}
	d.sayRoom(d.makeRoom(pipes))
	taken := map[string]string{}
	for _, g := range d.config.Guests {
		taken[g.Name] = "the configuration has a guest of that name"
		for _, p := range g.Pipes {
			taken[p.Path] = "the configuration has a pipe at " + p.Path
		}
		_ = d.bring(control.GuestSpec{Guest: g}, control.OriginConfig) // it is in the event log
	}
	for _, spec := range kept.Guests {
		d.comeBack(spec, taken)
	}
}

// comeBack brings a guest that was added live in an earlier run, unless its name
// or a path of it is taken. What cannot be now stays in the state file.
func (d *Daemon) comeBack(spec control.GuestSpec, taken map[string]string) {
	why := taken[spec.Name]
	for _, p := range spec.Pipes {
		why = cmp.Or(why, taken[p.Path])
	}
	alone := *d.config // the others are in taken, so that each need not look at all
	alone.Guests = nil
	if err := alone.CheckGuest(spec.Guest); why == "" && err != nil {
		why = err.Error()
	}
	if why == "" {
		err := d.bring(spec, control.OriginAPI)
		if err == nil {
			taken[spec.Name] = "the state file has it twice"
			for _, p := range spec.Pipes {
				taken[p.Path] = "guest " + spec.Name + " has a pipe at " + p.Path
			}
			return
		}
		why = err.Error()
	}
	d.leftOut = append(d.leftOut, spec)
	d.warn("guest_left_out", spec.Name, "a guest that was added live is left out: "+why+"; mend it and restart hostd, or remove it with hostd guest remove")
}

// makeRoom raises the limit on open files to what so many pipes need, and gives
// what is over to the clients of egd pipes. The warning says what is lacking.
func (d *Daemon) makeRoom(pipes int) (warning string) {
	spare, warning := raiseDescriptors(pipes)
	d.room.Resize(spare)
	return warning
}

func (d *Daemon) sayRoom(warning string) {
	if warning != "" {
		d.unmet = append(d.unmet, warning)
		d.warn("process", "", warning)
	}
}

// end stops guests, then sources, then wipes the reservoir.
func (d *Daemon) end() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, g := range d.guests {
		g.close()
		g.tap.Close()
	}
	d.guests = map[string]*guest{}
	d.endSources()
	return d.reservoir.Close()
}

// Events is the event log.
func (d *Daemon) Events() *events.Log { return d.log }

// Reload reads the configuration again and changes what changed in it. On an
// error the old one stays in force.
func (d *Daemon) Reload() error {
	d.reload.Lock()
	defer d.reload.Unlock()
	tellReloading()
	defer tell(systemd.SdNotifyReady)
	next, err := d.load()
	if err != nil {
		d.event(slog.LevelError, "reload_failed", "", "the old configuration stays: "+err.Error())
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unmet = d.needsRestart(next)
	for _, w := range d.unmet {
		d.warn("reload", "", w)
	}
	if d.opt.Level != nil {
		d.opt.Level.Set(next.Log.Level)
	}
	d.config = d.keepFixed(next)
	d.setSources(next.Sources)
	d.reloadGuests(next)
	d.event(slog.LevelInfo, "reloaded", "", "configuration reloaded")
	d.supply.look()
	return nil
}

func (d *Daemon) load() (*config.Config, error) {
	if d.opt.ConfigPath == "" {
		return nil, fmt.Errorf("%w: hostd runs without a configuration file; start it with --config FILE", control.ErrInvalid)
	}
	return config.Load(d.opt.ConfigPath)
}

// needsRestart names what a running daemon cannot change.
func (d *Daemon) needsRestart(next *config.Config) (warnings []string) {
	old := d.config
	for what, changed := range map[string]bool{
		"control":    old.Control != next.Control,
		"state":      old.State != next.State,
		"reservoir":  old.Reservoir != next.Reservoir,
		"health":     old.Health != next.Health,
		"log.format": old.Log.Format != next.Log.Format,
	} {
		if changed {
			warnings = append(warnings, fmt.Sprintf("the new %s takes effect when hostd is restarted", what))
		}
	}
	return warnings
}

// keepFixed is next with what needsRestart names left as it is, so that it is
// named again at the next reload.
func (d *Daemon) keepFixed(next *config.Config) *config.Config {
	c := *next
	c.Control, c.State, c.Reservoir, c.Health = d.config.Control, d.config.State, d.config.Reservoir, d.config.Health
	c.Log.Format = d.config.Log.Format
	return &c
}

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
		Sources:  d.sourceStatus(),
		Guests:   d.guestStatus(),
		Warnings: append(append([]string{}, d.warnings...), d.unmet...),
	}
	for _, spec := range d.leftOut {
		s.Warnings = append(s.Warnings, fmt.Sprintf("guest %s, added live in an earlier run, is left out: hostd events says why", spec.Name))
	}
	if w := lack(s.Sources, s.Reservoir.MinSources); w != "" {
		s.Warnings = append(s.Warnings, w)
	}
	return s
}
