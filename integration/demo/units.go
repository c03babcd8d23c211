//go:build linux

package main

import (
	"fmt"
	"time"
)

// size prints bytes in the units of the configuration.
func size(bytes float64) string {
	switch {
	case bytes >= 10<<20:
		return fmt.Sprintf("%.0f MiB", bytes/(1<<20))
	case bytes >= 1<<20:
		return fmt.Sprintf("%.1f MiB", bytes/(1<<20))
	case bytes >= 10<<10:
		return fmt.Sprintf("%.0f KiB", bytes/(1<<10))
	case bytes >= 1<<10:
		return fmt.Sprintf("%.2f KiB", bytes/(1<<10))
	}
	return fmt.Sprintf("%.0f B", bytes)
}

func rate(bytesPerSecond float64) string { return size(bytesPerSecond) + "/s" }

// clock prints a time since the start, in tenths of seconds.
func clock(d time.Duration) string { return fmt.Sprintf("%5.1f s", d.Seconds()) }

// took prints how long something took.
func took(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
