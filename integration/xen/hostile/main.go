//go:build linux

// Command hostile is a guest that does to hostd what it likes, or asks it for bytes as
// one should.
//
//	hostile MODE
//
// It goes on until it is ended. The modes are in the table below.
package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"headgate/wire/feed"
	"headgate/xen/vchan"
	"headgate/xen/xenstore"
)

const (
	dom0 = 0
	path = "data/headgate"
)

var modes = map[string]func(*xenstore.Conn) error{
	"honest":   honest,   // asks for 64 bytes, again and again
	"silent":   silent,   // asks for all it may, and never reads
	"garbage":  garbage,  // writes what is no frame as fast as it can
	"requests": requests, // asks as fast as it can
	"offers":   offers,   // offers a ring and takes it back as fast as it can
	"hangups":  hangups,  // offers a ring, and ends it as soon as hostd is there
	"kicks":    kicks,    // sends events as fast as it can
	"seesaw":   seesaw,   // moves its index forth and back
	"random":   random,   // writes random bytes into the page
	"nodes":    nodes,    // writes random values into its nodes
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "hostile:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 || modes[args[0]] == nil {
		return errors.New("usage: hostile MODE")
	}
	store, err := xenstore.Open()
	if err != nil {
		return err
	}
	return modes[args[0]](store)
}

func request(n uint32) []byte {
	b, err := feed.Append(nil, &feed.Frame{Type: feed.TypeRequest, N: n})
	if err != nil {
		panic(err)
	}
	return b
}

// rings offers one ring after the other, and uses each until it ends.
func rings(store *xenstore.Conn, use func(io.ReadWriter) error) error {
	for {
		c, err := vchan.Listen(store, vchan.Config{Domain: dom0, Path: path})
		if err != nil {
			return err
		}
		err = use(c)
		_ = c.Close()
		if err != nil && !errors.Is(err, io.EOF) {
			fmt.Fprintln(os.Stderr, "hostile: the ring ended:", err)
		}
	}
}

func honest(store *xenstore.Conn) error {
	ask := request(64)
	return rings(store, func(rw io.ReadWriter) error {
		dec := feed.Decoder{Accept: feed.ToGuest}
		var buf [feed.MaxFrame]byte
		have := 0
		for { // each frame that comes, the push as well as a grant, is answered
			n, err := rw.Read(buf[have:])
			if err != nil {
				return err
			}
			have += n
			for at := 0; ; {
				_, n, err := dec.Next(buf[at:have])
				at += n
				if err != nil {
					have = copy(buf[:], buf[at:have])
					break
				}
				if _, err := rw.Write(ask); err != nil {
					return err
				}
			}
		}
	})
}

func silent(store *xenstore.Conn) error {
	return rings(store, func(rw io.ReadWriter) error {
		for {
			if _, err := rw.Write(request(feed.MaxData)); err != nil {
				return err
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
}

// writes writes p as fast as it can, and reads what comes.
func writes(store *xenstore.Conn, p []byte) error {
	return rings(store, func(rw io.ReadWriter) error {
		go func() { _, _ = io.Copy(io.Discard, rw) }()
		for {
			if _, err := rw.Write(p); err != nil {
				return err
			}
		}
	})
}

func garbage(store *xenstore.Conn) error {
	p := make([]byte, 512)
	_, _ = rand.Read(p)
	return writes(store, append(p, "HGFD\x01\x04\x00\xff and nothing more"...))
}

func requests(store *xenstore.Conn) error {
	return writes(store, bytes.Repeat(request(1), 40))
}

func offers(store *xenstore.Conn) error {
	return rings(store, func(io.ReadWriter) error { return nil })
}

func nodes(store *xenstore.Conn) error {
	values := []string{"", "nine", "-1", "4294967296", "\xff\x00", string(make([]byte, 2000))}
	for i := 0; ; i++ {
		for _, node := range []string{"/ring-ref", "/event-channel"} {
			value := strconv.Itoa(i % 1000) // others' grants and ports
			if i%4 == 0 {
				value = values[i/4%len(values)]
			}
			if err := store.Write(path+node, value); err != nil {
				return err
			}
		}
	}
}
