package daemon

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"headgate/hostd/config"
	"headgate/hostd/control"
)

// PushGuest pushes fresh bytes to the guest's guestd because the operator, or what
// clones and restores his guests, asks for it.
func (d *Daemon) PushGuest(name string) (control.Push, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g, ok := d.guests[name]
	if !ok {
		return control.Push{}, control.ErrNotFound
	}
	if !slices.ContainsFunc(g.outlets, func(o *outlet) bool { return o.ReachesGuestd() }) {
		return control.Push{}, fmt.Errorf("%w: no pipe of it reaches guestd, for at the end of qemu, egd and vhost-user there is none: %s", control.ErrInvalid, g.reachable())
	}
	p := g.push()
	if p.Sent() {
		d.pushed(g, "it was asked for")
	}
	return p, nil
}

// reachable says how guestd of the guest can be reached.
func (g *guest) reachable() string {
	if g.origin == control.OriginLibvirt && g.domain != nil {
		return "give it a port with hostd libvirt attach " + config.ShellWord(g.domain.name) + " --port, and run guestd in it"
	}
	return "give it a port, vchan or channel pipe, and run guestd in it"
}

// pushed notes why a guest was pushed to.
func (d *Daemon) pushed(g *guest, why string) {
	d.event(slog.LevelInfo, "guest_pushed", g.name, "fresh bytes pushed to its guestd: "+why)
}

// push gives guestd fresh bytes wherever it is connected. They go ahead of others'
// and are charged to the guest, as its first are.
func (g *guest) push() control.Push {
	if g.hears() {
		g.tap.Fresh()
	}
	return g.deliver()
}

// hears says whether guestd is connected, on any of the guest's pipes.
func (g *guest) hears() bool {
	return slices.ContainsFunc(g.outlets, func(o *outlet) bool { return o.ReachesGuestd() && o.connected() })
}

// deliver pushes through every pipe of a guest that was marked as fresh.
func (g *guest) deliver() control.Push {
	p := control.Push{Guest: g.name, Pipes: make([]control.PipePush, 0, len(g.outlets))}
	if g.hears() {
		g.reports.await(time.Now()) // before what it reports on
	}
	for _, o := range g.outlets {
		p.Pipes = append(p.Pipes, control.PipePush{Kind: o.Kind, Path: o.Path, Result: o.push()})
	}
	return p
}

// push pushes through one pipe, and says what became of it.
func (o *outlet) push() control.PushResult {
	open := o.opened()
	switch {
	case !o.ReachesGuestd():
		return control.PushNever
	case open == nil || !open.Push():
		return control.PushLater
	case o.isRing():
		return control.PushRung
	}
	return control.PushSent
}
