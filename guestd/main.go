//go:build linux

// The runtime would read the cgroup's limit of processors about once a second for as
// long as anything ticks.
//go:debug updatemaxprocs=0
//go:debug containermaxprocs=0

// Command guestd feeds a guest's kernel with random bytes from its host.
package main

import (
	"os"

	"headgate/guestd/command"
)

// version is set by the linker: -ldflags "-X main.version=v1.2.3".
var version = "devel"

func main() { os.Exit(command.Main(os.Args[1:], version, os.Stdout, os.Stderr)) }
