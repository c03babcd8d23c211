package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"headgate/backends"
	"headgate/backends/reservoir"
	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/hostd/events"
)

// source is one noise source with the task that reads it.
type source struct {
	config config.Source
	input  *reservoir.Input
	pump   *backends.Pump
	stop   context.CancelFunc
	task   sync.WaitGroup
}

// levels of the events that a source tells; all others are information.
var levels = map[string]slog.Level{
	backends.StartupFailed: slog.LevelError,
	backends.SourceFailed:  slog.LevelError,
	backends.SourceLost:    slog.LevelWarn,
	backends.SourceMissing: slog.LevelWarn,
	backends.CreditChanged: slog.LevelWarn,
}

var messages = map[string]string{
	backends.StartupPassed: "start-up health test passed",
	backends.StartupFailed: "start-up health test failed: nothing of the source is used",
	backends.SourceUp:      "source is up",
	backends.SourceFailed:  "health test failed: the source is stopped until it passes a new start-up test",
	backends.SourceLost:    "source lost, will be tried again",
	backends.SourceMissing: "source is missing, will be tried again",
	backends.CreditChanged: "what the source counts for changed",
	backends.RestartsBegan: "restarts of the source are captured: nothing of it is used until that is over",
	backends.RestartsEnded: "the capture of restarts is over",
}

// discover is what the host may have, as a configuration would name it. The
// kernel's hwrng is always of it: it may come later, when a module is loaded or a
// device plugged in.
func discover() []config.Source {
	list := []config.Source{{Name: "hwrng", Type: "hwrng", Path: "/dev/hwrng"}}
	for _, c := range backends.Discover() {
		if c.Type != "hwrng" {
			list = append(list, config.Source(c))
		}
	}
	return list
}

// setSources makes the sources those of a configuration, or those that are
// found if it names none: it stops what is no longer wanted and starts what is new. A source
// that did not change runs on.
func (d *Daemon) setSources(want []config.Source) {
	if len(want) == 0 {
		want = discover()
	}
	unwanted := func(s *source) bool { return !slices.ContainsFunc(want, s.config.Equal) }
	for _, s := range d.sources {
		if unwanted(s) {
			s.stop() // all of them first: a command may take two seconds to end
		}
	}
	d.sources = slices.DeleteFunc(d.sources, func(s *source) bool {
		if !unwanted(s) {
			return false
		}
		s.close()
		return true
	})
	for _, c := range want {
		if !slices.ContainsFunc(d.sources, func(s *source) bool { return s.config.Equal(c) }) {
			d.startSource(c)
		}
	}
}

func (d *Daemon) startSource(c config.Source) {
	src, err := backends.New(backends.Config(c))
	if err != nil { // the configuration was checked: a mistake of ours
		d.event(slog.LevelError, "source_refused", c.Name, err.Error())
		return
	}
	ctx, cancel := context.WithCancel(d.ctx)
	s := &source{config: c, input: d.reservoir.Input(), stop: cancel}
	s.pump = backends.NewPump(backends.Config(c), src, s.input, backends.PumpOptions{
		AlphaLog2: d.config.Health.AlphaLog2,
		Event:     d.sourceEvent,
	})
	s.task.Go(func() { _ = s.pump.Run(ctx) }) // it ends with ctx alone
	d.sources = append(d.sources, s)
}

// endSources stops all of them.
func (d *Daemon) endSources() {
	for _, s := range d.sources {
		s.close()
	}
	d.sources = nil
}

func (s *source) close() {
	s.stop()
	s.task.Wait()
	s.input.Close()
}

func (d *Daemon) sourceEvent(e backends.Event) {
	fields := map[string]string{}
	if e.Test != "" {
		fields["test"] = e.Test
	}
	if e.Detail != "" {
		fields["detail"] = e.Detail
	}
	d.log.Add(events.Event{
		Time: e.Time, Level: levels[e.Kind], Kind: e.Kind, Subject: e.Source,
		Message: messages[e.Kind], Fields: fields,
	})
	d.supply.look()
}

// sourceStatus is called with mu held.
func (d *Daemon) sourceStatus() []control.SourceStatus {
	list := make([]control.SourceStatus, 0, len(d.sources))
	for _, s := range d.sources {
		list = append(list, s.pump.Status())
	}
	return list
}

// pump finds a source's pump.
func (d *Daemon) pump(name string) (*backends.Pump, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.sources {
		if s.config.Name == name {
			return s.pump, nil
		}
	}
	return nil, fmt.Errorf("source %q: %w", name, control.ErrNotFound)
}
