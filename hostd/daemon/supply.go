package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"headgate/backends"
	"headgate/hostd/control"
)

// patience is how long the sources have after the start before it is said that
// there are too few: a start-up test takes a slow one a while.
const patience = 3 * time.Second

// supply notices when too few sources are left.
type supply struct {
	changed chan struct{} // has a token if a source came or went
	missing int           // origins, as was last said
}

func (s *supply) look() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// watchSupply says loudly when guests cannot get anything any more, and when they
// can again.
func (d *Daemon) watchSupply(ctx context.Context) error {
	first := time.NewTimer(patience)
	defer first.Stop()
	select {
	case <-ctx.Done():
		return nil
	case <-first.C:
	}
	for {
		d.mu.Lock()
		sources, need := d.sourceStatus(), d.config.Reservoir.MinSources
		d.mu.Unlock()
		d.saySupply(sources, need)
		select {
		case <-ctx.Done():
			return nil
		case <-d.supply.changed:
		}
	}
}

// saySupply says what has changed. What becomes of each source is in the log by itself,
// so that one which fails again and again does not make this be said with it.
func (d *Daemon) saySupply(sources []control.SourceStatus, need int) {
	up := countUp(origins(sources))
	missing := max(need-up, 0)
	if missing == d.supply.missing {
		return
	}
	if d.supply.missing = missing; missing == 0 {
		d.event(slog.LevelInfo, "supply_back", "", fmt.Sprintf("enough sources are up again: %d of %d origins that a block needs", up, need))
		return
	}
	d.event(slog.LevelError, "supply_lacking", "",
		lack(sources, need)+"; quality full gets what the reservoir still holds, then waits")
}

// origins sums the sources up as a block sees them: each origin once, whoever of its
// sources is credited and up.
func origins(sources []control.SourceStatus) []control.OriginStatus {
	list := []control.OriginStatus{}
	for _, s := range sources {
		if !s.Credited || s.Origin == "" { // or not opened yet
			continue
		}
		i := slices.IndexFunc(list, func(o control.OriginStatus) bool { return o.Name == s.Origin })
		if i < 0 {
			i = len(list)
			list = append(list, control.OriginStatus{Name: s.Origin})
		}
		list[i].Sources = append(list[i].Sources, s.Name)
		list[i].Up = list[i].Up || s.State == backends.Up
	}
	return list
}

func countUp(list []control.OriginStatus) (n int) {
	for _, o := range list {
		if o.Up {
			n++
		}
	}
	return n
}

// lack says why nothing new comes into the reservoir, if nothing does: how many origins
// are up, how many a block needs, and what is wrong with each source that does not help.
func lack(sources []control.SourceStatus, need int) string {
	up := countUp(origins(sources))
	if up >= need {
		return ""
	}
	var why []string
	first := map[string]string{} // source of each origin that is up
	for _, s := range sources {
		switch {
		case !s.Credited:
			why = append(why, s.Name+" counts nothing")
		case s.State != backends.Up:
			why = append(why, s.Name+" "+ill(s))
		case first[s.Origin] != "":
			why = append(why, s.Name+" is the same noise as "+first[s.Origin])
		default:
			first[s.Origin] = s.Name
		}
	}
	return fmt.Sprintf("%d of %d origins up: %s", up, need, strings.Join(why, ", "))
}

// ill is the state of a source that is not up, in short. One that is tried again after
// a failure has failed until it passes.
func ill(s control.SourceStatus) string {
	again := s.State == backends.Starting && s.LastFailure != nil && !s.LastError.Time.After(s.LastFailure.Time)
	if s.State == backends.Failed || again {
		return fmt.Sprintf("%s (%s)", backends.Failed, s.LastFailure.Test)
	}
	return s.State
}
