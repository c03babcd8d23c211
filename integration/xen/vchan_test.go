//go:build linux

package xen

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"headgate/xen/vchan"
	"headgate/xen/xenstore"
)

// loop is a vchan of dom0 with itself, over the real devices.
func loop(t *testing.T, size int) (server, client *vchan.Conn) {
	t.Helper()
	store, err := xenstore.Open()
	check(t, err)
	t.Cleanup(func() { store.Close() })
	c := vchan.Config{Path: "data/vchan/0/" + strings.ReplaceAll(t.Name(), "/", "-"), Read: size, Write: size}
	server, err = vchan.Listen(store, c)
	check(t, err)
	t.Cleanup(func() { server.Close() })
	c.Path = domainPath(0, c.Path)
	client, err = vchan.Dial(store, c)
	check(t, err)
	t.Cleanup(func() { client.Close() })
	return server, client
}

// TestVchanLoop moves bytes both ways at once, through the real devices.
func TestVchanLoop(t *testing.T) {
	const total = 1 << 20
	for name, size := range map[string]int{"page": 0, "64KiB": 1 << 16} {
		t.Run(name, func(t *testing.T) {
			server, client := loop(t, size)
			want := bytes.Repeat([]byte("0123456789a"), total/11+1)[:total]
			results := make(chan error, 4)
			for _, c := range []*vchan.Conn{server, client} {
				check(t, c.SetDeadline(time.Now().Add(30*time.Second)))
				go func() { _, err := c.Write(want); results <- err }()
				go func() {
					got := make([]byte, total)
					n, err := io.ReadFull(c, got)
					if err == nil && !bytes.Equal(got, want) {
						err = errors.New("a byte is wrong")
					}
					if err != nil {
						t.Logf("after %d bytes", n)
					}
					results <- err
				}()
			}
			begin := time.Now()
			for range 4 {
				check(t, <-results)
			}
			t.Logf("%.1f MB/s", rate(2*total, time.Since(begin).Nanoseconds()))
		})
	}
}

// TestVchanEnds sees what a side is told when the other ends, that nothing is
// allocated on the way, and that no node, page or port is left.
func TestVchanEnds(t *testing.T) {
	fds := len(descriptors(t))
	t.Run("loop", func(t *testing.T) {
		server, client := loop(t, 0)
		p := make([]byte, 64)
		go func() {
			q := make([]byte, 64)
			for {
				if _, err := io.ReadFull(server, q); err != nil {
					return
				}
				if _, err := server.Write(q); err != nil {
					return
				}
			}
		}()
		if n := testing.AllocsPerRun(200, func() {
			if _, err := client.Write(p); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(client, p); err != nil {
				t.Fatal(err)
			}
		}); n >= 1 {
			t.Errorf("a request and its answer allocate %g times", n)
		}
		check(t, server.Close())
		if _, err := client.Read(p); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		if _, err := client.Write(p); !errors.Is(err, syscall.EPIPE) {
			t.Error(err)
		}
		check(t, client.Close())
		if _, err := client.Read(p); !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	})
	if now := len(descriptors(t)); now > fds {
		t.Errorf("%d descriptors before, %d after: %v", fds, now, descriptors(t))
	}
}

func descriptors(t *testing.T) (list []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	check(t, err)
	for _, e := range entries {
		to, _ := os.Readlink("/proc/self/fd/" + e.Name())
		list = append(list, to)
	}
	return list
}
