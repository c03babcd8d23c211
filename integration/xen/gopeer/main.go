//go:build linux

// Command gopeer is one side of a vchan over xen/vchan, as peer/peer.c is over
// libxenvchan.
//
//	gopeer server|client DOMID PATH READ WRITE MODE...
//
// The modes are gone through one after the other: source:N and sink:N send and take
// N bytes of a pattern, every one checked; echo:N answers N requests of 64 bytes,
// echo all until the other side ends; ping:N makes N of them and prints the median
// time of one in nanoseconds; wait waits for a line on the standard input.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"headgate/xen/vchan"
	"headgate/xen/xenstore"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gopeer:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 6 {
		return errors.New("usage: gopeer server|client DOMID PATH READ WRITE MODE")
	}
	var numbers [3]int
	for i, text := range []string{args[1], args[3], args[4]} {
		n, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		numbers[i] = n
	}
	c, err := open(args[0] == "server", vchan.Config{
		Domain: uint16(numbers[0]), Path: args[2], Read: numbers[1], Write: numbers[2],
	})
	if err != nil {
		return err
	}
	fmt.Println("open")
	for _, mode := range args[5:] {
		if err := do(c, mode); err != nil {
			return fmt.Errorf("%s: %w", mode, err)
		}
	}
	return c.Close()
}

// open offers, or waits for an offer.
func open(server bool, config vchan.Config) (*vchan.Conn, error) {
	store, err := xenstore.Open()
	if err != nil {
		return nil, err
	}
	if server {
		return vchan.Listen(store, config)
	}
	w, err := store.Watch(config.Path)
	if err != nil {
		return nil, err
	}
	for timeout := time.After(30 * time.Second); ; {
		c, err := vchan.Dial(store, config)
		// libxenvchan writes its nodes before it lets the client read them.
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return c, err
		}
		select {
		case <-w.C:
		case <-timeout:
			return nil, err
		}
	}
}

const (
	period  = 65521 // a prime: no shift by a ring's size goes unnoticed
	piece   = 16384
	request = 64
)

var pattern = func() []byte {
	p := make([]byte, period, period+piece)
	x := uint32(1)
	for i := range p {
		x = x*1664525 + 1013904223
		p[i] = byte(x >> 24)
	}
	return append(p, p[:piece]...)
}()

func do(c *vchan.Conn, mode string) error {
	name, arg, _ := strings.Cut(mode, ":")
	n, _ := strconv.Atoi(arg)
	switch name {
	case "source":
		return source(c, n)
	case "sink":
		return sink(c, n)
	case "ping":
		return ping(c, n)
	case "echo":
		if arg == "" {
			n = -1
		}
		return echo(c, n)
	case "wait":
		for b := make([]byte, 1); b[0] != '\n'; {
			if _, err := os.Stdin.Read(b); err != nil {
				return err
			}
		}
		return nil
	}
	return errors.New("no such mode")
}

func source(c *vchan.Conn, n int) error {
	begin := time.Now()
	for at := 0; at < n; {
		k, err := c.Write(pattern[at%period:][:min(n-at, piece)])
		if err != nil {
			return err
		}
		at += k
	}
	fmt.Println("source", n, time.Since(begin).Nanoseconds())
	return nil
}

func sink(c *vchan.Conn, n int) error {
	begin := time.Now()
	buf := make([]byte, piece)
	for at := 0; at < n; {
		k, err := c.Read(buf[:min(n-at, piece)])
		if err != nil {
			return err
		}
		if !bytes.Equal(buf[:k], pattern[at%period:][:k]) {
			return errors.New("a byte is wrong")
		}
		at += k
	}
	fmt.Println("sink", n, time.Since(begin).Nanoseconds())
	return nil
}

func ping(c *vchan.Conn, n int) error {
	times, buf := make([]time.Duration, n), make([]byte, request)
	for i := range times {
		begin := time.Now()
		want := pattern[i%1000:][:request]
		if _, err := c.Write(want); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, buf); err != nil {
			return err
		}
		times[i] = time.Since(begin)
		if !bytes.Equal(buf, want) {
			return errors.New("an answer is wrong")
		}
	}
	slices.Sort(times)
	fmt.Println("ping", n, times[n/2].Nanoseconds())
	return nil
}

// echo answers n requests, all where n is negative.
func echo(c *vchan.Conn, n int) error {
	buf := make([]byte, request)
	for ; n != 0; n-- {
		if _, err := io.ReadFull(c, buf); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if _, err := c.Write(buf); err != nil {
			return err
		}
	}
	return nil
}
