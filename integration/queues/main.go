//go:build linux

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

	"headgate/integration/load"
)

func main() {
	rounds := flag.Int("rounds", 14, "so often each device has its turn")
	turn := flag.Duration("turn", time.Second, "so long a turn is")
	hostd := flag.String("hostd", "", "measure this hostd; not given: it is built")
	fixed := flag.String("fixed", "", "be the trivial server at this socket, and nothing else")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if *fixed != "" {
		err = serveFixed(ctx, *fixed)
	} else {
		err = run(ctx, *hostd, *rounds, *turn)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "queues:", err)
		os.Exit(1)
	}
}

// serveFixed is the trivial server in a process of its own, whose time can be told apart.
func serveFixed(ctx context.Context, path string) error {
	if _, err := load.StartFixed(path); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func run(ctx context.Context, hostd string, rounds int, turn time.Duration) error {
	b, err := ready(ctx, hostd, turn)
	if err != nil {
		return err
	}
	defer b.close()
	f, err := b.measure(ctx, rounds, turn)
	if err != nil {
		return err
	}
	fmt.Print(f.report(turn))
	if b.lacking != nil {
		fmt.Printf("  %s is not among them: %v\n", theirs, b.lacking)
	}
	return nil
}

// tries is how often it begins anew: of some twenty starts of vhost-device-rng there was
// one after which it never answered. The guest's read cannot be ended then, and nothing
// else be read in its place.
const tries = 3

// ready starts all of it, and sees that each device is served.
func ready(ctx context.Context, hostd string, turn time.Duration) (*bench, error) {
	for try := 1; ; try++ {
		b, err := prepare(ctx, hostd)
		if err != nil {
			return nil, err
		}
		if err = b.check(ctx, turn); err == nil {
			return b, nil
		}
		b.close()
		if ctx.Err() != nil || try == tries || !errors.Is(err, errStuck) {
			return nil, err
		}
		fmt.Printf("once more, for %v\n", err)
	}
}
