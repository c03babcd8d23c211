package daemon

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"

	systemd "github.com/coreos/go-systemd/v22/daemon"

	"headgate/hostd/config"
	"headgate/hostd/control"
)

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
	if d.config.Libvirt.Follow != next.Libvirt.Follow {
		d.follow.changed.tell()
	}
	if was, is := d.config.Xen, next.Xen; was.Follow != is.Follow || was.Socket != is.Socket || !d.xen.status.Dom0 {
		d.xen.changed.tell()
	}
	d.sayQualities(next)
	d.config = d.keepFixed(next)
	d.setSources(next.Sources)
	d.setHost()
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
		"guard":      old.Guard != next.Guard,
		"meter":      old.Meter != next.Meter,
		"reservoir":  old.Reservoir != next.Reservoir,
		"health":     old.Health != next.Health,
		"log.format": old.Log.Format != next.Log.Format,

		"libvirt.socket": old.Libvirt.Socket != next.Libvirt.Socket,
		"libvirt.guests": old.Libvirt.Guests != next.Libvirt.Guests,
		"libvirt.pids":   old.Libvirt.PIDs != next.Libvirt.PIDs,
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
	c.Control, c.State, c.Guard, c.Meter = d.config.Control, d.config.State, d.config.Guard, d.config.Meter
	c.Reservoir, c.Health = d.config.Reservoir, d.config.Health
	c.Log.Format = d.config.Log.Format
	c.Libvirt = d.config.Libvirt
	c.Libvirt.Follow = next.Libvirt.Follow
	return &c
}

// reloadGuests makes the guests of the configuration file those of next, which
// is in force already. A guest whose sockets do not change stays connected, and
// one whose entry did not change keeps what was set live.
func (d *Daemon) reloadGuests(next *config.Config) {
	want := map[string]config.Guest{}
	for _, g := range next.Guests {
		want[g.Name] = g
	}
	d.yield(next.Guests)
	for name, g := range d.guests {
		entry, wanted := want[name]
		switch {
		case g.ofDomain(): // placeAll sees to it
		case g.origin == control.OriginAPI:
			if wanted {
				d.warn("guest_refused", name, "the configuration names a guest that was added live: that one stays; remove it and reload")
				delete(want, name)
			}
			if _, known := next.Class(g.spec.Class); !known {
				d.warn("guest_unclassed", name, fmt.Sprintf("its class %q is gone: it keeps the limits that it has", g.spec.Class))
			}
			d.limit(g)
		case !wanted:
			d.drop(g, "guest removed from the configuration")
		case d.adopt(g, entry):
			delete(want, name)
		default:
			d.drop(g, "guest's sockets change")
		}
	}
	pipes := d.pipes()
	for _, g := range want {
		pipes = append(pipes, g.Pipes...)
	}
	d.makeRoom(pipes)
	for _, name := range slices.Sorted(maps.Keys(want)) {
		_ = d.bring(control.GuestSpec{Guest: want[name]}, control.OriginConfig) // it is in the event log
	}
	d.placeAll()
	d.sayRoom(d.makeRoom(d.pipes()))
}

// adopt puts a running guest under its entry in a new configuration. It reports
// false, and changes nothing, if that takes other sockets.
func (d *Daemon) adopt(g *guest, entry config.Guest) bool {
	spec := g.spec.Guest
	class, known := d.config.Class(spec.Class)
	if !known || !g.entry.Equal(entry) {
		spec = entry
		class, _ = d.config.Class(spec.Class) // the configuration was checked
	}
	if !g.fits(spec.Under(class)) || !slices.Equal(spec.Pipes, g.spec.Pipes) {
		return false
	}
	g.entry, g.spec.Guest = entry, spec
	d.limit(g)
	return true
}
