package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sync/errgroup"

	"headgate/hostd/config"
	"headgate/hostd/events"
)

// Serve runs hostd with a configuration file, or with the embedded default if
// path is empty, until SIGTERM, SIGINT or the end of ctx.
func Serve(ctx context.Context, path, version string) error {
	cfg := config.Default()
	if path != "" {
		var err error
		if cfg, err = config.Load(path); err != nil {
			return err
		}
	}
	shield, err := raise(cfg.Guard)
	if err != nil {
		return err
	}
	defer shield.lower()
	// Whoever may attach programs is a process that holds no entropy. And threads that
	// give up a right together must not wait in the kernel for a slow device, which the
	// sources' do (syscall.AllThreadsSyscall).
	gauge := startMeter(cfg)
	defer gauge.close()
	if err := shield.fasten(); err != nil {
		return err
	}
	debug.SetGCPercent(garbage)
	level := new(slog.LevelVar)
	level.Set(cfg.Log.Level)
	log := events.New(events.NewLogger(cfg.Log.Format, level))
	defer write(log)()
	d, err := New(cfg, log, Options{
		Version: version, ConfigPath: path, Level: level, Warnings: seal(),
		shield: shield, gauge: gauge,
	})
	if err != nil {
		return err
	}
	tasks, ctx := errgroup.WithContext(ctx)
	// Before anybody is told that hostd is ready, who may stop it at once.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(signals)
	tasks.Go(func() error { return stopper(ctx, d, signals) })
	ready := make(chan struct{})
	tasks.Go(func() error { return reloader(ctx, d, ready) })
	tasks.Go(func() error {
		return d.Run(ctx, func() {
			d.ready(cfg.Control)
			close(ready)
		})
	})
	if err := tasks.Wait(); !errors.Is(err, errStopped) {
		return err
	}
	return nil
}

// flushTime is how long a log that does not take what is written to it, such as a
// paused terminal, can keep hostd from ending.
const flushTime = 200 * time.Millisecond

// write writes the event log until the function that it returns is called, and
// then what is left, as far as that goes.
func write(log *events.Log) (flush func()) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = log.Run(ctx)
	}()
	return func() {
		stop()
		select {
		case <-done:
		case <-time.After(flushTime):
		}
	}
}

// errStopped ends all tasks because a signal asked for it.
var errStopped = errors.New("stopped")

// stopper is the task that waits for SIGTERM and SIGINT.
func stopper(ctx context.Context, d *Daemon, signals <-chan os.Signal) error {
	select {
	case <-ctx.Done():
		return nil
	case s := <-signals:
		d.event(slog.LevelInfo, "stopping", "", fmt.Sprintf("stopping on %v", s))
		d.gauge.close() // which takes its time, and guests are served meanwhile
		return errStopped
	}
}

// reloader is the task that reloads at SIGHUP. It is apart from stopper, which
// must not wait for a reload, and reloads nothing before all is there.
func reloader(ctx context.Context, d *Daemon, ready <-chan struct{}) error {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	defer signal.Stop(c)
	select {
	case <-ctx.Done():
		return nil
	case <-ready:
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c:
			_ = d.Reload() // it is in the event log, and the old configuration stays
		}
	}
}

// ready tells whoever started hostd that it serves.
func (d *Daemon) ready(control string) {
	tell(systemd.SdNotifyReady)
	s := d.Status()
	d.event(slog.LevelInfo, "serving", "", fmt.Sprintf("hostd %s is ready; guests: %d, sources: %d, control socket: %s",
		s.Version, len(s.Guests), len(s.Sources), control))
}
