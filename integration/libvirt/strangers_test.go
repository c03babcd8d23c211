//go:build linux

package libvirt

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/user"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"headgate/hostd/control"

	"golang.org/x/sys/unix"
)

// strangers: whoever connects to the domain's socket and is not its QEMU gets
// nothing, is counted, and is told of in an event; the QEMU is served on.
func (r *running) strangers(ctx context.Context, t *testing.T) {
	socket := guestSocket("db1")
	qemu := userID(t, "libvirt-qemu")
	mode, err := os.Stat(socket)
	if err != nil {
		t.Fatal(err)
	}
	owner := mode.Sys().(*syscall.Stat_t).Uid
	t.Logf("%s: %s, owner %d", socket, mode.Mode(), owner)
	if mode.Mode().Perm() != 0o600 || owner != qemu {
		t.Errorf("%s has mode %s and owner %d, want 0600 and %d", socket, mode.Mode(), owner, qemu)
	}
	if _, err := dialAs(userID(t, "nobody"), socket); err == nil {
		t.Error("nobody could connect")
	}

	for _, c := range []struct {
		who  string
		uid  uint32
		mode os.FileMode
		says string // in the event
	}{
		{"root", 0, 0o600, "another user"},
		{"another user, where the socket's mode lets all in", userID(t, "nobody"), 0o666, "another user"},
		{"QEMU's user, but not the domain's QEMU", qemu, 0o600, "that is pid "},
	} {
		if err := os.Chmod(socket, c.mode); err != nil {
			t.Fatal(err)
		}
		before := r.pipe(ctx, t, "db1")
		last := r.hostd.LastEvent(ctx, t)
		if got := r.visit(t, c.uid, socket); got > 0 {
			t.Errorf("%s got %d bytes", c.who, got)
		}
		r.hostd.AwaitGuest(ctx, t, "db1", c.who+" is counted", func(g control.GuestStatus) bool {
			return g.Pipes[0].Refused == before.Refused+1
		})
		said := r.refusals(ctx, t, last, "db1")
		t.Logf("%s: %s", c.who, strings.Join(said, "; "))
		if len(said) != 1 || !strings.Contains(said[0], c.says) {
			t.Errorf("%s: events of refused peers: %q, want one that says %q", c.who, said, c.says)
		}
		if now := r.pipe(ctx, t, "db1"); !now.Connected || now.Connections != before.Connections {
			t.Errorf("%s: the domain's QEMU was disconnected: %+v, before %+v", c.who, now, before)
		}
		// 4 KiB/s: a second's worth, and it was never more than that away.
		r.read.Await(t, r.read.Latest().Total+2048, 5*time.Second)
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		t.Fatal(err)
	}
}

// visit connects as a user, asks for bytes as QEMU does, and returns how many came
// until the other side hung up.
func (r *running) visit(t *testing.T, uid uint32, socket string) int64 {
	t.Helper()
	conn, err := dialAs(uid, socket)
	if err != nil {
		t.Fatalf("connect as user %d: %v", uid, err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = conn.Write([]byte{2, 64}) // may be late: then it is refused already
	got, err := io.Copy(io.Discard, conn)
	if os.IsTimeout(err) {
		t.Errorf("user %d was not turned away in 5 s", uid)
	}
	return got
}

// dialAs connects as another user. Only the thread that connects is that user; it
// ends with the connection made.
func dialAs(uid uint32, socket string) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // for good: no other goroutine may get this thread
		conn, err := func() (net.Conn, error) {
			// The system call itself: package syscall would change all threads.
			if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
				return nil, fmt.Errorf("become user %d: %w", uid, errno)
			}
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return nil, err
			}
			file := os.NewFile(uintptr(fd), socket)
			defer file.Close()
			if err := unix.Connect(fd, &unix.SockaddrUnix{Name: socket}); err != nil {
				return nil, err
			}
			return net.FileConn(file)
		}()
		done <- result{conn, err}
	}()
	r := <-done
	return r.conn, r.err
}

func userID(t *testing.T, name string) uint32 {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	id, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(id)
}

// pipe is the state of a guest's only pipe.
func (h *host) pipe(ctx context.Context, t *testing.T, guest string) control.PipeStatus {
	t.Helper()
	return h.hostd.AwaitGuest(ctx, t, guest, "guest "+guest+" has one pipe", func(g control.GuestStatus) bool { return len(g.Pipes) == 1 }).Pipes[0]
}

func (h *host) refusals(ctx context.Context, t *testing.T, since uint64, guest string) (said []string) {
	t.Helper()
	for _, e := range h.hostd.Events(ctx, t, since) {
		if e.Kind == "peer_refused" && e.Subject == guest {
			said = append(said, e.Fields["peer"]+": "+e.Fields["error"])
		}
	}
	return said
}
