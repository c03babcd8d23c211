package kvm

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"headgate/wire/pipe"
	"headgate/wire/wiretest"
)

// dialling makes a pipe that connects to a socket that is not there yet. It speaks EGD:
// what it says is not what matters here.
func dialling(t *testing.T, level int) *rig {
	t.Helper()
	r := &rig{
		tap:    &tap{Tank: wiretest.NewTank(level)},
		path:   filepath.Join(t.TempDir(), "web1.vhost", "sock"),
		events: make(chan pipe.Event, 1000),
	}
	var err error
	r.Pipe, err = Open(Options{
		Kind: QEMU, Dial: true,
		Socket: Socket{Path: r.path, UID: -1, GID: -1},
		Tap:    r.tap,
		Owner:  r.owner.Load,
		Notify: func(e pipe.Event) { r.events <- e },
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// qemu listens in QEMU's place, and leaves its socket behind.
func (r *rig) qemu(t *testing.T) *net.UnixListener {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: r.path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	t.Cleanup(func() { l.Close() })
	_ = l.SetDeadline(time.Now().Add(10 * time.Second))
	return l
}

func accept(t *testing.T, l *net.UnixListener) net.Conn {
	t.Helper()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn
}

// troubled waits until the pipe says that it is in such trouble.
func (r *rig) troubled(t *testing.T, want string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(r.Trouble(), want) || want == "" && r.Trouble() != ""; {
		if time.Now().After(deadline) {
			t.Fatalf("trouble %q, want %q", r.Trouble(), want)
		}
		time.Sleep(time.Millisecond)
	}
}

// The guest is started, stopped and started again, with hostd there all the while.
func TestAPipeThatConnects(t *testing.T) {
	r := dialling(t, 1<<16)
	r.run(t)
	r.troubled(t, "is the guest started")
	if why := r.Trouble(); strings.Count(why, r.path) != 1 {
		t.Errorf("the path is not there once: %s", why)
	}
	for i := range 3 {
		l := r.qemu(t)
		conn := accept(t, l)
		if e := r.expect(t, pipe.Connected); e.Peer.(Peer).PID != int32(os.Getpid()) || e.Peer.(Peer).UID != uint32(os.Getuid()) {
			t.Fatalf("it connected to %v", e.Peer)
		}
		if _, err := io.ReadFull(conn, make([]byte, pushed)); err != nil {
			t.Fatal(err)
		}
		r.troubled(t, "")
		if s := r.Stats(); !s.Connected || s.Connections != uint64(i+1) || s.Errors != 0 || r.tap.fresh.Load() != int32(i+1) {
			t.Fatalf("%+v, %d times fresh", s, r.tap.fresh.Load())
		}
		l.Close()
		conn.Close()
		r.expect(t, pipe.Disconnected)
		r.troubled(t, "nobody listens")
		if r.Stats().Connected {
			t.Error("it says that it is connected")
		}
		if err := os.Remove(r.path); err != nil {
			t.Fatal(err)
		}
	}
}

// One connection is served at a time, and one that is hung up on or hangs up at once
// is not made again as fast as it can be.
func TestABadPeerIsNotConnectedToAsFastAsCanBe(t *testing.T) {
	for name, bad := range map[string]func(net.Conn){
		"hangs up": func(conn net.Conn) { conn.Close() },
		"garbage":  func(conn net.Conn) { _, _ = conn.Write([]byte{0xff, 0xff}) },
	} {
		t.Run(name, func(t *testing.T) {
			r := dialling(t, 1<<16)
			r.run(t)
			l := r.qemu(t)
			_ = l.SetDeadline(time.Now().Add(time.Second))
			n := 0
			for ; ; n++ {
				conn, err := l.Accept()
				if err != nil {
					break
				}
				bad(conn)
				defer conn.Close()
			}
			if n < 2 || n > 8 { // after 50, 100, 200, 400 ms
				t.Errorf("%d connections in a second", n)
			}
			if name == "garbage" {
				r.troubled(t, "the connection was ended: ")
			}
		})
	}
}

func TestAPipeThatConnectsServesItsOwnerAlone(t *testing.T) {
	pins(t, func(t *testing.T, pin pin) {
		r := dialling(t, 1<<16)
		r.pin = pin
		r.own(t, os.Getuid(), os.Getppid())
		r.run(t)
		l := r.qemu(t)
		for range 2 {
			conn := accept(t, l)
			if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
				t.Fatalf("%d bytes, %v", n, err)
			}
		}
		e := r.expect(t, pipe.Refused)
		if !strings.Contains(e.Err.Error(), "that is pid") {
			t.Fatal(e.Err)
		}
		r.troubled(t, "is not served: ")
		if s := r.Stats(); s.Connections != 0 || s.Refused < 2 || r.tap.fresh.Load() != 0 || len(r.events) != 0 {
			t.Fatalf("%+v, %d times fresh, %d events", s, r.tap.fresh.Load(), len(r.events))
		}
		r.own(t, os.Getuid(), os.Getpid())
		var conn net.Conn
		for conn == nil {
			c := accept(t, l)
			if _, err := io.ReadFull(c, make([]byte, pushed)); err == nil {
				conn = c
			}
		}
		r.expect(t, pipe.Connected)
		// The domain's QEMU is another now, and whoever listened there is no more.
		r.own(t, os.Getuid(), os.Getppid())
		r.Judge()
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		r.expect(t, pipe.Refused)
		r.expect(t, pipe.Disconnected)
	})
}

// The one who listens is told by its socket, whatever user it runs as.
func TestTheListenerIsToldByItsSocket(t *testing.T) {
	r := dialling(t, 1<<16)
	r.run(t)
	other := r.listens(t, 0, 0o022)
	if e := r.expect(t, pipe.Connected); e.Peer.(Peer).PID != int32(other.pid) {
		t.Fatalf("it connected to %v, not to pid %d", e.Peer, other.pid)
	}
	other.hold.Close()
	_ = other.cmd.Wait()
	r.expect(t, pipe.Disconnected)
	r.troubled(t, "nobody listens")
}

// A guest that is started late finds its folder, though somebody has removed that.
func TestAFolderThatIsRemovedComesBack(t *testing.T) {
	r := dialling(t, 1<<16)
	r.run(t)
	r.troubled(t, "is the guest started")
	if err := os.Remove(filepath.Dir(r.path)); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); !madeByHostd(filepath.Dir(r.path)); {
		if time.Now().After(deadline) {
			t.Fatal("it has not come back")
		}
		time.Sleep(time.Millisecond)
	}
	accept(t, r.qemu(t))
	if e := r.expect(t, pipe.Connected); e.Err != nil {
		t.Error(e.Err)
	}
}

// Who may write in the folder does not choose to whose socket hostd connects.
func TestALinkToAnothersSocketIsNotFollowed(t *testing.T) {
	other := dialling(t, 1<<16)
	l := other.qemu(t)
	r := dialling(t, 1<<16)
	if err := os.Symlink(other.path, r.path); err != nil {
		t.Fatal(err)
	}
	r.run(t)
	if e := r.expect(t, pipe.Refused); !strings.HasPrefix(e.Err.Error(), "connect to "+r.path+": it is a symbolic link") || e.Err.Error() != r.Trouble() {
		t.Errorf("%v, and the trouble is %s", e.Err, r.Trouble())
	}
	_ = l.SetDeadline(time.Now().Add(200 * time.Millisecond))
	if conn, err := l.Accept(); err == nil {
		conn.Close()
		t.Error("it connected to another guest's socket")
	}
	if err := os.Remove(r.path); err != nil {
		t.Fatal(err)
	}
	accept(t, r.qemu(t))
	r.expect(t, pipe.Connected)
}

func TestNothingIsLeftOverOfPipesThatConnect(t *testing.T) {
	r := dialling(t, 1<<20)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = r.Run(ctx) })
	l := r.qemu(t)
	conn := accept(t, l)
	r.expect(t, pipe.Connected)
	cancel()
	wg.Wait()
	r.expect(t, pipe.Disconnected)
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Error(err)
	}
	if r.Stats().Connected {
		t.Error("it is still connected")
	}
	// QEMU lives, and hostd is to find it when it is started again.
	if _, err := os.Lstat(r.path); err != nil {
		t.Fatalf("the socket of one that lives: %v", err)
	}
	before := descriptors(t)
	for range 200 {
		again, err := Open(r.opt)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() { _ = again.Run(ctx) })
		conn := accept(t, l)
		r.expect(t, pipe.Connected)
		cancel()
		wg.Wait()
		r.expect(t, pipe.Disconnected)
		conn.Close()
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	l.Close()
	again, err := Open(r.opt)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
	if _, err := os.Lstat(filepath.Dir(r.path)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is left behind: %v", err)
	}
}
