//go:build linux

package sign

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"headgate/guestd/kernel"
)

// settling is how long a module may be loaded after guestd has started, and its file
// appear: udev's coldplug runs beside the first units of the boot. Until then every
// look is for what is not there yet, too; after it a poll with nothing to look at ends.
const settling = time.Minute

// poll looks at what does not tell by itself.
type poll struct {
	w       *Watcher
	settled time.Time
	guid    *generation
	clock   *clock
}

func (w *Watcher) newPoll() *poll { return &poll{w: w, settled: w.now().Add(settling)} }

// look opens what is there by now.
func (p *poll) look() {
	w := p.w
	// Where the kernel looks by itself and says so, nobody else needs to.
	if w.log.Load() && kernel.Driver(w.Root) {
		p.dropGUID()
	} else if p.guid == nil {
		if g, err := openGeneration(w.path(kernel.GUIDPath)); err == nil {
			p.guid = g
			w.guid.Store(true)
		}
	}
	if p.clock == nil {
		if c, err := openClock(w.path(clockFile), w.now); err == nil {
			p.clock = c
			w.clock.Store(true)
		}
	}
}

func (p *poll) run(stop <-chan struct{}, out chan<- Sign) {
	defer p.dropGUID()
	defer p.dropClock()
	ticks := p.w.ticks
	if ticks == nil {
		t := time.NewTicker(p.w.Poll)
		defer t.Stop()
		ticks = t.C
	}
	for {
		select {
		case <-ticks:
		case <-stop:
			return
		}
		if !p.turn(stop, out) {
			return
		}
	}
}

// turn is one look at each; false when it was the last.
func (p *poll) turn(stop <-chan struct{}, out chan<- Sign) bool {
	if p.guid != nil {
		s, changed, err := p.guid.look()
		if changed && !tell(s, stop, out) {
			return false
		}
		if errors.Is(err, unix.ENODEV) {
			p.dropGUID()
		}
	}
	if p.clock != nil {
		s, jumped, err := p.clock.look()
		if jumped && !tell(s, stop, out) {
			return false
		}
		if errors.Is(err, unix.ENODEV) { // else it is one bad reading
			p.dropClock()
		}
	}
	if !p.settled.IsZero() {
		p.look()
		if !p.w.now().Before(p.settled) {
			p.settled = time.Time{}
		}
	}
	return p.guid != nil || p.clock != nil || !p.settled.IsZero()
}

func (p *poll) dropGUID() {
	if p.guid != nil {
		_ = p.guid.raw.Close()
		p.guid = nil
		p.w.guid.Store(false)
	}
}

func (p *poll) dropClock() {
	if p.clock != nil {
		_ = p.clock.rtc.Close()
		p.clock = nil
		p.w.clock.Store(false)
	}
}
