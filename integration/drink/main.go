//go:build linux

package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"headgate/hostd/kernel"
	"headgate/hostd/meter"
)

func main() {
	pairs := flag.Int("pairs", 20, "so many pairs")
	turn := flag.Duration("turn", 500*time.Millisecond, "so long one dd takes, about")
	idle := flag.Duration("idle", 20*time.Second, "look so long at a hostd that nobody asks")
	inside := flag.String("inside", "", "measure by fentry or by kprobe on this kernel, print it as JSON, and do nothing else")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if *inside != "" {
		err = printed(ctx, *inside, *pairs, *turn)
	} else {
		err = run(ctx, *pairs, *turn, *idle)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "drink:", err)
		os.Exit(1)
	}
}

// printed is what runs in the guest.
func printed(ctx context.Context, how string, pairs int, turn time.Duration) error {
	f, err := measure(ctx, how, pairs, turn)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(f)
}

func run(ctx context.Context, pairs int, turn, idle time.Duration) error {
	dir, err := os.MkdirTemp("", "drink")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Print(heading(pairs))
	if err := here(ctx, pairs, turn); err != nil {
		return err
	}
	image, err := image(ctx, dir)
	if err != nil {
		return err
	}
	g, err := counted.boot(ctx, image, dir)
	if err != nil {
		return err
	}
	err = counted.measure(ctx, g, pairs, turn)
	g.Close() // the next guest has the same name
	if err != nil {
		return err
	}
	if g, err = emulated.boot(ctx, image, dir); err != nil {
		return err
	}
	defer g.Close()
	if err := emulated.measure(ctx, g, pairs, turn); err != nil {
		return err
	}
	return idles(ctx, g, idle)
}

// here measures on this machine's own kernel, if that lets itself be looked into.
func here(ctx context.Context, pairs int, each time.Duration) error {
	m, err := meter.Attach(options(fentry))
	if err != nil {
		fmt.Printf("Linux %s, this machine's own: not measured: %v\n", kernel.Release(), err)
		return nil
	}
	if err := m.Close(); err != nil {
		return err
	}
	f, err := measure(ctx, fentry, pairs, each)
	if err == nil {
		fmt.Print(f.report())
	}
	return err
}

// fentry and kprobe are the two ways to be called by the kernel, as the meter names them.
const (
	fentry = "fentry"
	kprobe = "kprobe"
)

// options are those of a meter that is attached that way.
func options(how string) meter.Options { return meter.Options{Kprobe: how == kprobe} }
