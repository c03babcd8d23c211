package daemon

import (
	"context"
	"fmt"
	"log/slog"
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
	lacking string        // as it was last said
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
		lacking := lack(d.sourceStatus(), d.config.Reservoir.MinSources)
		d.mu.Unlock()
		switch lacking {
		case d.supply.lacking:
		case "":
			d.event(slog.LevelInfo, "supply_back", "", "enough sources are up again")
		default:
			d.event(slog.LevelError, "supply_lacking", "", lacking)
		}
		d.supply.lacking = lacking
		select {
		case <-ctx.Done():
			return nil
		case <-d.supply.changed:
		}
	}
}

// lack says what keeps full taps from getting anything new, if anything does.
func lack(sources []control.SourceStatus, need int) string {
	up := 0
	for _, s := range sources {
		if s.State == backends.Up {
			up++
		}
	}
	switch {
	case up == 0:
		return "no source is up: guests get what the reservoir still holds, then wait"
	case up < need:
		return fmt.Sprintf("%d of the %d sources that a block needs are up: guests get what the reservoir still holds, then wait", up, need)
	}
	return ""
}
