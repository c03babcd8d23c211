package daemon

import (
	"context"
	"fmt"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// tell says something to the service manager (sd_notify(3)); without one it
// does nothing.
func tell(state string) {
	_, _ = systemd.SdNotify(false, state) // a manager that is away cannot be told so
}

// tellReloading says that a reload has begun; tell(SdNotifyReady) ends it.
func tellReloading() {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	tell(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", systemd.SdNotifyReloading, now.Nano()/1000))
}

// watchdog tells the service manager, twice in each period that it asks for,
// that the daemon is alive.
func watchdog(ctx context.Context, alive func()) error {
	period, err := systemd.SdWatchdogEnabled(false)
	if err != nil || period == 0 {
		return nil
	}
	ticks := time.NewTicker(period / 2)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
			alive()
			tell(systemd.SdNotifyWatchdog)
		}
	}
}
