//go:build linux

// Command caller is a source's command that tries to reach the network before it gives
// anything: as often as its argument says over IPv4, and once over IPv6. Then it gives
// random bytes without end. What became of its tries it says on its standard error.
package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

func main() {
	times, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "caller:", err)
		os.Exit(2)
	}
	for range times {
		call(unix.AF_INET)
	}
	call(unix.AF_INET6)
	for block := make([]byte, 4096); ; {
		_, _ = rand.Read(block)
		if _, err := os.Stdout.Write(block); err != nil {
			os.Exit(1)
		}
	}
}

// call ends the program if it gets a socket: a source that is up has had none.
func call(domain int) {
	fd, err := unix.Socket(domain, unix.SOCK_STREAM, 0)
	if err == nil {
		fmt.Fprintln(os.Stderr, "caller: the network is open, descriptor", fd)
		os.Exit(3)
	}
}
