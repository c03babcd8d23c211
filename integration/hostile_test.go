//go:build linux

package integration

import (
	"context"
	"crypto/rand"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"headgate/hostd/control"
	"headgate/integration/load"
	"headgate/integration/rig"
	"headgate/wire/feed"
)

// TestHostileGuests shows that guests that flood, never read, send garbage or
// reconnect all the time harm their own pipes alone: a guest beside them gets its
// rate, hostd's memory does not grow, and counters tell who did what.
func TestHostileGuests(t *testing.T) {
	const rate, measured = 8 << 10, 5 * time.Second
	ctx := rig.Within(t, time.Minute)
	dir := rig.Dir(t)
	noise, err := load.StartNoise(ctx, filepath.Join(dir, "noise"), 100_000)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(noise.Close)
	text := noise.Source() + rates + "[[class]]\nname = \"good\"\nrate = \"8KiB/s\"\nburst = \"4KiB\"\n"
	paths := map[string]string{}
	for name, kind := range map[string]string{
		"flood": "egd", "flood-port": "port", "garbage": "egd", "garbage-port": "port", "restless": "qemu", "good": "egd",
	} {
		class := "open"
		if name == "good" {
			class = name
		}
		entry, path := guest(name, class, kind, dir)
		text, paths[name] = text+entry, path
	}
	hostd := rig.Hostd(t, programs(t).Hostd, dir, text)

	hostile, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	again := func(path string, f func(net.Conn)) {
		wg.Go(func() {
			for hostile.Err() == nil {
				conn, err := net.Dial("unix", path)
				if err != nil {
					return
				}
				done := context.AfterFunc(hostile, func() { conn.Close() })
				f(conn)
				done()
				conn.Close()
			}
		})
	}
	endless := func(data []byte) func(net.Conn) {
		return func(conn net.Conn) {
			for {
				if _, err := conn.Write(data); err != nil {
					return
				}
			}
		}
	}
	again(paths["flood"], endless([]byte(strings.Repeat("\x02\xff\x03\x00\x08\x10sixteen garbage.", 64))))
	again(paths["garbage"], func(conn net.Conn) { _, _ = io.CopyN(conn, rand.Reader, 64) })
	again(paths["garbage-port"], func(conn net.Conn) { _, _ = io.CopyN(conn, rand.Reader, 1<<20) })
	again(paths["restless"], func(net.Conn) {})
	again(hostd.Control, func(conn net.Conn) { _, _ = io.CopyN(conn, rand.Reader, 512) })
	again(paths["flood-port"], endless(requests(t)))

	seen := rig.NewBlocks()
	drain(hostile, t, paths["good"], seen)
	rig.Pause(ctx, t, time.Second)
	resident := residentOf(t, hostd.PID())
	before := good(ctx, t, hostd)
	begun := time.Now()
	rig.Pause(ctx, t, measured)
	got := float64(good(ctx, t, hostd) - before)
	want := rate * time.Since(begun).Seconds()
	t.Logf("beside hostile guests a good one got %.3f of its rate", got/want)
	if got < 0.97*want || got > 1.03*want {
		t.Errorf("beside hostile guests a good one got %.0f bytes, want %.0f", got, want)
	}
	if now := residentOf(t, hostd.PID()); now > resident+16<<20 {
		t.Errorf("hostd grew from %d to %d KiB in %v", resident>>10, now>>10, measured)
	}
	s, err := hostd.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for name, count := range map[string]func(control.PipeStatus) uint64{
		"flood":        func(p control.PipeStatus) uint64 { return p.Dropped },
		"flood-port":   func(p control.PipeStatus) uint64 { return p.Dropped },
		"garbage":      func(p control.PipeStatus) uint64 { return p.Errors },
		"garbage-port": func(p control.PipeStatus) uint64 { return p.Errors },
	} {
		if g, _ := rig.GuestOf(s, name); count(g.Pipes[0]) == 0 {
			t.Errorf("guest %s is hostile, and no counter says so: %+v", name, g.Pipes[0])
		}
	}
	if log, err := os.Stat(hostd.Log); err != nil || log.Size() > 256<<10 {
		t.Errorf("the log has %d bytes: hostile guests can fill the disk (%v)", log.Size(), err)
	}
}

func good(ctx context.Context, t *testing.T, hostd *rig.Daemon) uint64 {
	t.Helper()
	s, err := hostd.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	g, _ := rig.GuestOf(s, "good")
	return g.Bytes
}

// requests is one frame that asks for as much as a frame can, many times.
func requests(t *testing.T) (data []byte) {
	t.Helper()
	for range 64 {
		var err error
		if data, err = feed.Append(data, &feed.Frame{Type: feed.TypeRequest, N: feed.MaxData}); err != nil {
			t.Fatal(err)
		}
	}
	return data
}

func residentOf(t *testing.T, pid int) int {
	t.Helper()
	n, err := load.RSS(pid)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
