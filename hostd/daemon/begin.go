package daemon

import (
	"cmp"
	"log/slog"

	"headgate/hostd/config"
	"headgate/hostd/control"
)

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
	d.setHost()
	var pipes []config.Pipe
	for _, spec := range kept.Guests {
		pipes = append(pipes, spec.Pipes...)
	}
	for _, g := range d.config.Guests {
		pipes = append(pipes, g.Pipes...)
	}
	d.sayRoom(d.makeRoom(pipes))
	taken := taken{map[string]string{}, map[string]string{}}
	for _, g := range d.config.Guests {
		taken.names[g.Name] = "the configuration has a guest of that name"
		for _, p := range g.Pipes {
			taken.paths[p.Path] = "the configuration has a pipe at " + p.Path
		}
		_ = d.bring(control.GuestSpec{Guest: g}, control.OriginConfig) // it is in the event log
	}
	for _, spec := range kept.Guests {
		d.comeBack(spec, taken)
	}
}

// taken are the names and paths of the guests that there are, each with why no other
// can have it. A domain of Xen's may be called as a guest is.
type taken struct{ names, paths map[string]string }

// comeBack brings a guest that was added live in an earlier run, unless its name
// or a path of it is taken. What cannot be now stays in the state file.
func (d *Daemon) comeBack(spec control.GuestSpec, taken taken) {
	why := taken.names[spec.Name]
	for _, p := range spec.Pipes {
		why = cmp.Or(why, taken.paths[p.Path])
	}
	alone := *d.config // the others are in taken, so that each need not look at all
	alone.Guests = nil
	if err := alone.CheckGuest(spec.Guest); why == "" && err != nil {
		why = err.Error()
	}
	if why == "" {
		err := d.bring(spec, control.OriginAPI)
		if err == nil {
			taken.names[spec.Name] = "the state file has it twice"
			for _, p := range spec.Pipes {
				taken.paths[p.Path] = "guest " + spec.Name + " has a pipe at " + p.Path
			}
			return
		}
		why = err.Error()
	}
	d.leftOut = append(d.leftOut, spec)
	d.warn("guest_left_out", spec.Name, "a guest that was added live is left out: "+why+"; mend it and restart hostd, or remove it with hostd guest remove")
}

// makeRoom raises the limit on open files to what these pipes need, and gives
// what is over to the clients of egd pipes. The warning says what is lacking.
func (d *Daemon) makeRoom(pipes []config.Pipe) (warning string) {
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
