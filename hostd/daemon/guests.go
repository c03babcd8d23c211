package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"headgate/hostd/config"
	"headgate/hostd/control"
)

// The errors of these do not name the guest: who asked has.

// AddGuest brings a guest live. Unless it is transient it is kept over a
// restart.
func (d *Daemon) AddGuest(spec control.GuestSpec) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if g, there := d.guests[spec.Name]; there {
		return fmt.Errorf("%w: %s", control.ErrExists, instead[g.origin].ofAdding)
	}
	if err := d.admissible(spec.Guest); err != nil {
		return err
	}
	spec.Transient = spec.Transient || slices.ContainsFunc(spec.Pipes, config.Pipe.Passing)
	if lacking := d.makeRoom(append(d.pipes(), spec.Pipes...)); lacking != "" {
		return errors.New(lacking)
	}
	g, err := d.makeGuest(spec, control.OriginAPI)
	if err != nil {
		return err
	}
	if err = g.open(); err == nil {
		d.guests[spec.Name] = g
		before := d.leftOut // what was left out under this name, it replaces
		replaces := d.forgetLeftOut(spec.Name)
		if err = d.keep(spec.Transient && !replaces); err != nil {
			delete(d.guests, spec.Name)
			d.leftOut = before
		}
	}
	if err != nil {
		g.close()
		return err
	}
	g.start(d.ctx)
	d.event(slog.LevelInfo, "guest_added", spec.Name, "guest added")
	d.placeRest()
	return nil
}

// RemoveGuest ends a guest's pipes and forgets it. One of the configuration
// file is back at the next start. An error about the state file does not keep the
// guest: it says that the guest will be back.
func (d *Daemon) RemoveGuest(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	g, ok := d.guests[name]
	switch leftOut := d.forgetLeftOut(name); {
	case !ok && !leftOut:
		return control.ErrNotFound
	case ok && !leftOut && g.ofDomain():
		return fmt.Errorf("%w: %s", control.ErrInvalid, instead[g.origin].ofRemoving)
	case leftOut: // and if the configuration has one of that name, that one stays
		d.event(slog.LevelInfo, "guest_removed", name, "guest removed that was left out")
	default:
		d.drop(g, "guest removed")
		d.makeRoom(d.pipes())
		d.placeRest()
		if g.spec.Transient || g.origin != control.OriginAPI {
			return nil
		}
	}
	if err := d.keep(false); err != nil {
		return fmt.Errorf("it is removed now, but will be back when hostd is restarted: %w", err)
	}
	return nil
}

// forgetLeftOut forgets a guest that is left out, and says whether there was one.
func (d *Daemon) forgetLeftOut(name string) bool {
	others := slices.DeleteFunc(slices.Clone(d.leftOut), func(s control.GuestSpec) bool { return s.Name == name })
	found := len(others) < len(d.leftOut)
	d.leftOut = others
	return found
}

// SetGuest changes a guest's class or limits live; it stays connected.
func (d *Daemon) SetGuest(name string, patch control.GuestPatch) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	g, ok := d.guests[name]
	if !ok {
		return control.ErrNotFound
	}
	spec, domains := g.spec, g.ofDomain()
	spec.Guest = patched(spec.Guest, patch)
	if err := d.admissible(spec.Guest); err != nil {
		return err
	}
	if class, _ := d.config.Class(spec.Class); !domains && !g.fits(spec.Under(class)) {
		return fmt.Errorf("%w: class %q gives its sockets another owner or mode: remove the guest and add it with that class", control.ErrInvalid, spec.Class)
	}
	old := g.spec
	g.spec = spec
	if err := d.keep(g.spec.Transient || g.origin != control.OriginAPI); err != nil {
		g.spec = old
		return err
	}
	message := "guest's class or limits changed"
	if domains {
		g.live.set(patch, g)
		message += instead[g.origin].holds
	}
	d.limit(g)
	d.event(slog.LevelInfo, "guest_changed", name, message)
	return nil
}

// instead is what to say of a guest to who would add, remove or change one.
var instead = map[string]struct{ ofAdding, ofRemoving, holds string }{
	control.OriginConfig: {ofAdding: "remove it first, or change it with hostd guest set"},
	control.OriginAPI:    {ofAdding: "remove it first, or change it with hostd guest set"},
	control.OriginLibvirt: {
		ofAdding:   "it is a domain of libvirt's that runs: change it with hostd guest set, or in its XML",
		ofRemoving: "it is a domain of libvirt's, and goes when that stops: hostd libvirt detach takes its device away",
		holds:      ": they hold until its domain of libvirt's ends, whose policy can only lower them",
	},
	control.OriginXen: {
		ofAdding:   "it is a domain of Xen's: change it with hostd guest set, or hostd xen attach",
		ofRemoving: "it is a domain of Xen's, and goes when that goes: hostd xen detach takes its policy away",
		holds:      ": they hold until its domain of Xen's goes, or has another policy",
	},
}

// admissible checks a guest against the configuration and the other guests. What
// a domain of Xen's has by itself it has only as long as nobody else wants it.
func (d *Daemon) admissible(g config.Guest) error {
	c := *d.config
	c.Sources = nil
	for _, s := range d.sources {
		c.Sources = append(c.Sources, s.config)
	}
	c.Guests = nil
	for _, other := range d.guests {
		switch {
		case other.spec.Name == g.Name:
		case other.origin == control.OriginXen:
			c.Guests = append(c.Guests, config.Guest{Name: other.spec.Name})
		default:
			c.Guests = append(c.Guests, other.spec.Guest)
		}
	}
	for _, other := range d.leftOut {
		if other.Name != g.Name {
			c.Guests = append(c.Guests, other.Guest)
		}
	}
	return c.CheckGuest(g)
}

func (d *Daemon) makeGuest(spec control.GuestSpec, origin string) (*guest, error) {
	class, ok := d.config.Class(spec.Class)
	if !ok {
		return nil, fmt.Errorf("class %q: %w", spec.Class, control.ErrNotFound)
	}
	socket, err := socketOf(spec.Under(class))
	if err != nil {
		return nil, err
	}
	g := d.newGuest(spec, origin, class, "")
	for _, p := range spec.Pipes {
		g.add(p, socket)
	}
	return g, nil
}

// newGuest is a guest without a pipe. The UUID is that of the domain that it is made
// for, if it is for one.
func (d *Daemon) newGuest(spec control.GuestSpec, origin string, class config.Class, uuid string) *guest {
	class = spec.Under(class)
	return &guest{
		name: spec.Name, spec: spec, origin: origin, entry: spec.Guest, class: class,
		tap: d.newTap(spec.Name, uuid, class), log: d.log, room: &d.room, ring: d.xen.ring,
	}
}

// bring starts a guest that the daemon is responsible for: a socket that cannot
// be made is told and tried again.
func (d *Daemon) bring(spec control.GuestSpec, origin string) error {
	g, err := d.makeGuest(spec, origin)
	if err != nil {
		d.event(slog.LevelError, "guest_refused", spec.Name, err.Error())
		return err
	}
	if err := g.open(); err != nil {
		d.event(slog.LevelError, "pipe_failed", spec.Name, "will be tried again: "+err.Error())
	}
	d.guests[spec.Name] = g
	g.start(d.ctx)
	return nil
}

func (d *Daemon) drop(g *guest, message string) {
	g.close()
	g.tap.Close()
	delete(d.guests, g.spec.Name)
	d.unbind(g)
	d.event(slog.LevelInfo, "guest_removed", g.spec.Name, message)
}

// limit puts a guest under its class as it is now. It stays connected, whatever quality
// that gives.
func (d *Daemon) limit(g *guest) {
	if class, ok := d.config.Class(g.spec.Class); ok {
		was := g.class
		if g.class = g.spec.Under(class); g.class != was {
			g.tap.Set(qualityOf(g.class))
			d.requalified(g.name, was.Quality, g.class.Quality)
		}
	}
}

func (d *Daemon) pipes() (pipes []config.Pipe) {
	for _, g := range d.guests {
		for _, o := range g.outlets {
			pipes = append(pipes, o.Pipe)
		}
	}
	return pipes
}

// keep writes the guests added live to the state file, unless the change was to
// one that is not in it.
func (d *Daemon) keep(notInIt bool) error {
	if notInIt {
		return nil
	}
	s := state{Version: stateVersion, Guests: slices.Clone(d.leftOut)}
	for _, g := range d.guests {
		if g.origin == control.OriginAPI && !g.spec.Transient {
			s.Guests = append(s.Guests, g.spec)
		}
	}
	slices.SortFunc(s.Guests, func(a, b control.GuestSpec) int { return strings.Compare(a.Name, b.Name) })
	return s.save(d.config.State)
}

// guestStatus is called with mu held.
func (d *Daemon) guestStatus() []control.GuestStatus {
	list := make([]control.GuestStatus, 0, len(d.guests))
	for _, name := range slices.Sorted(maps.Keys(d.guests)) {
		s := d.guests[name].status()
		for i := range s.Pipes {
			if p := &s.Pipes[i]; p.Kind == config.Vchan && !p.Connected {
				p.Error = cmp.Or(p.Error, d.xen.lacking(d.config.Xen))
			}
		}
		list = append(list, s)
	}
	return list
}
