package daemon

import (
	"fmt"
	"log/slog"

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
