package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/hostd/meter"
)

// gauge is what hostd has of its meter, which is a process of its own.
type gauge struct {
	mode    string         // as configured
	process *meter.Process // nil: there is none

	mu     sync.Mutex
	up     bool
	err    error // why it is not up though it is to be
	closed bool  // by hostd itself
}

// errAttaching is of the first moment.
var errAttaching = errors.New("the meter is being attached: ask again in a second")

// startMeter starts the process, with the rights that hostd still has. A hostd that
// cannot serves as well.
func startMeter(cfg *config.Config) *gauge {
	g := &gauge{mode: cfg.Meter, err: errAttaching}
	if cfg.Meter == config.MeterOff {
		return g
	}
	program, err := os.Executable()
	if err == nil {
		g.process, err = meter.Start(program, meter.Command, "--pids", cfg.Libvirt.PIDs, fmt.Sprintf("--kprobe=%t", cfg.Meter == config.MeterKprobe))
	}
	if err != nil {
		g.err = err
	}
	return g
}

// await waits until it is up, and says why it is not. It is closed when ctx ends.
func (g *gauge) await(ctx context.Context) error {
	if g.process == nil {
		if g.mode == config.MeterOff {
			return nil
		}
		return g.err
	}
	stop := context.AfterFunc(ctx, g.close)
	err := g.process.Attached()
	g.mu.Lock()
	g.up, g.err = err == nil, err
	g.mu.Unlock()
	if err != nil && stop() {
		g.process.Close()
	}
	return err
}

// close ends the process. What it has counted is gone.
func (g *gauge) close() {
	if g.process == nil {
		return
	}
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.process.Close()
}

// lost says that where it is not up, hostd has not ended it.
func (g *gauge) lost() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.closed
}

// read reads the meter, and says why it cannot.
func (g *gauge) read() (meter.Reading, error) {
	g.mu.Lock()
	up, err := g.up, g.err
	g.mu.Unlock()
	switch {
	case g.mode == config.MeterOff:
		return meter.Reading{}, fmt.Errorf(`%w: the meter is off; set meter = "on" in hostd's configuration and restart it`, control.ErrInvalid)
	case !up:
		return meter.Reading{}, err
	}
	return g.process.Read()
}

func (g *gauge) status() control.MeterStatus {
	s := control.MeterStatus{Mode: g.mode}
	if g.mode == config.MeterOff {
		return s
	}
	r, err := g.read()
	if err != nil {
		s.Error = err.Error()
		return s
	}
	s.Up, s.Ways, s.Unmetered = true, r.Ways, control.UnmeteredIn(r)
	return s
}

// watchMeter is the task that says where there is no meter, from the start or any more.
func (d *Daemon) watchMeter(ctx context.Context) error {
	err := d.gauge.await(ctx)
	lost := d.gauge.lost()
	if err == nil && d.gauge.process != nil {
		select {
		case <-ctx.Done():
		case <-d.gauge.process.Ended():
			lost = d.gauge.lost()
			_, err = d.gauge.read()
		}
	}
	if err != nil && lost {
		d.warn("meter_down", "", "who reads the kernel's random devices is not seen: "+err.Error())
	}
	return nil
}

// RNG tells who reads randomness from the kernel.
func (d *Daemon) RNG() (control.RNG, error) {
	r, err := d.gauge.read()
	return control.RNG{Meter: r}, err
}
