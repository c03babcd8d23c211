//go:build linux

package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	only := flag.String("only", "", "measure these peers alone, by a part of their names, comma-separated")
	atOnce := flag.Int("at-once", 2, "so many pairs of clones are watched at once")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, chosen(*only), *atOnce); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// chosen are the peers whose names contain one of the words.
func chosen(list string) []peer {
	if list == "" {
		return peers
	}
	var some []peer
	for _, p := range peers {
		for word := range strings.SplitSeq(list, ",") {
			if strings.Contains(strings.ToLower(p.name), strings.ToLower(word)) {
				some = append(some, p)
				break
			}
		}
	}
	return some
}

func run(ctx context.Context, list []peer, atOnce int) error {
	dir, err := os.MkdirTemp("", "peers")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	begun := time.Now()
	b, err := prepare(ctx, dir, list)
	if err != nil {
		return err
	}
	defer b.close()
	rows, err := b.measure(ctx, list, atOnce)
	if err != nil {
		return err
	}
	fmt.Printf("\n%s\n", table(rows, b.versions))
	fmt.Printf(legend, readyPatience.Seconds(), spinMicros/1000, b.cloud.Kernel.Release, b.generic.Kernel.Release, time.Since(begun).Round(time.Second))
	return nil
}

const legend = `Credits, ready and reseeds: in a guest just booted whose kernel nobody else seeds,
within %.0f s. Clones: two of one saved guest, with one processor, that asks
getrandom(16) every %d ms; its kernel reseeded 1 s before the save, and does so by
itself a minute later. Kernel %s, for vmgenid %s.
The EGD server and the broker ran in the guest, on bytes of a file. Took %s.
`
