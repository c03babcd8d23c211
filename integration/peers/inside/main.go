//go:build linux

// Command inside is what the peers and their measurement need in the guest:
//
//	inside egd ADDRESS FILE    serve EGD clients
//	inside trace FILE          sum up what strace wrote, as JSON
//	inside reseed              have the kernel reseed now (RNDRESEEDCRNG)
//
// The EGD server gives the bytes of a file, over and over. They are no entropy, and
// the same in every clone; but there always are some, as a client's own server on the
// network would have them.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"headgate/integration/peers/trace"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "inside:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 3 && args[0] == "egd":
		return serveEGD(args[1], args[2])
	case len(args) == 2 && args[0] == "trace":
		return sumUp(args[1])
	case len(args) == 1 && args[0] == "reseed":
		return reseed()
	}
	return fmt.Errorf("want egd ADDRESS FILE, trace FILE or reseed; got %q", args)
}

func sumUp(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	s, err := trace.Summarize(f)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(s)
}
