//go:build linux

// Command demo shows Headgate at work on this machine: it starts hostd on the
// physical sources that are here, boots two guests in QEMU, one that takes all
// that it can get and one that asks now and then, and shows who gets what. It
// ends by itself, with exit code 1 and the reason where something went wrong.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"headgate/integration/rig"
)

// limit is the longest that a demonstration may take.
const limit = 88 * time.Second

func main() {
	seconds := flag.Int("seconds", 16, "how long to measure the greedy guest, 5 to 40")
	plain := flag.Bool("plain", false, "print lines, even on a terminal")
	flag.Parse()
	if *seconds < 5 || *seconds > 40 || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := demo(ctx, time.Duration(*seconds)*time.Second, *plain)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// demo plays the demonstration in a folder of its own.
func demo(ctx context.Context, measure time.Duration, plain bool) error {
	if missing := rig.Missing(); len(missing) > 0 {
		return fmt.Errorf("packages are missing; as root: %s", rig.Remedy(missing))
	}
	dir, err := os.MkdirTemp("", "demo")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not at its end after %s", limit))
	defer cancel()

	s := newScene()
	shown := show(s, plain)
	err = play(ctx, s, dir, measure)
	shown()
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		err = fmt.Errorf("%w: %w", err, context.Cause(ctx))
	}
	if err != nil {
		return err
	}
	return conclude(os.Stdout, s)
}
