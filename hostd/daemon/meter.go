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

// watchMeter is the task that says where there is no meter, from the start or any more.
func (d *Daemon) watchMeter(ctx context.Context) error {
	g := d.gauge
	if g.mode == config.MeterOff {
		return nil
	}
	if g.process != nil {
		defer context.AfterFunc(ctx, g.close)()
		g.await()
		<-g.process.Ended()
	}
	_, err := g.read()
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil && !g.closed {
		d.warn("meter_down", "", "who reads the kernel's random devices is not seen: "+err.Error())
	}
	return nil
}

// await waits until the process has attached. One that could not ends.
func (g *gauge) await() {
	err := g.process.Attached()
	g.mu.Lock()
	g.up, g.err = err == nil, err
	g.mu.Unlock()
	if err != nil {
		g.process.Close()
	}
}

// Meter tells how it is seen who reads randomness from the kernel, and who does so past
// hostd.
func (d *Daemon) Meter() control.MeterStatus {
	s := control.MeterStatus{Mode: d.gauge.mode}
	if d.gauge.mode == config.MeterOff {
		return s
	}
	r, err := d.gauge.read()
	if err != nil {
		s.Error = err.Error()
		return s
	}
	s.Up, s.Ways, s.Unmetered = true, r.Ways, control.UnmeteredIn(r)
	return s
}

// RNG tells who reads randomness from the kernel.
func (d *Daemon) RNG() (control.RNG, error) {
	r, err := d.gauge.read()
	return control.RNG{Meter: r}, err
}
