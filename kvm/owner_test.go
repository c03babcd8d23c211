package kvm

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"headgate/integration/need"
	"headgate/wire/pipe"

	"golang.org/x/sys/unix"
)

// pins has a test done with both ways to a process: the socket's and, as before
// Linux 6.5, the id's.
func pins(t *testing.T, f func(t *testing.T, pin pin)) {
	t.Run("SO_PEERPIDFD", func(t *testing.T) { f(t, pinPeer) })
	t.Run("pidfd_open", func(t *testing.T) { f(t, pinOld) })
}

// pidFile is one that says text.
func pidFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "web1.pid")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// ownedBy opens a pipe for the process of pid.
func ownedBy(t *testing.T, kind Kind, pin pin, pid int) *rig {
	t.Helper()
	r := open(t, kind, 1<<16)
	r.pin = pin
	r.own(t, os.Getuid(), pid)
	return r
}

// own says who is to be at the socket from now on.
func (r *rig) own(t *testing.T, uid, pid int) {
	t.Helper()
	r.owner.Store(&Owner{UID: uint32(uid), PIDFile: pidFile(t, strconv.Itoa(pid))})
}

// turnedAway waits until a client was refused, and sees that it was told of in one
// line and, where nobody was let in before, that it moved nothing.
func (r *rig) turnedAway(t *testing.T, why error, words ...string) {
	t.Helper()
	e := r.expect(t, pipe.Refused)
	text := e.Err.Error()
	if why != nil && !errors.Is(e.Err, why) {
		t.Errorf("%v, want %v", e.Err, why)
	}
	owner := r.owner.Load()
	for _, word := range append(words, e.Peer.String(), fmt.Sprintf("uid %d ", owner.UID), strconv.Quote(owner.PIDFile)) {
		if !strings.Contains(text, word) {
			t.Errorf("%q does not say %q", text, word)
		}
	}
	if strings.ContainsAny(text, "\n\r") || text[:1] != strings.ToLower(text[:1]) {
		t.Errorf("%q is not one lowercase line", text)
	}
	if s := r.Stats(); s.Connections == 0 && (s.Refused == 0 || s.Connected || r.tap.fresh.Load() != 0 || r.tap.Given() != 0) {
		t.Errorf("%+v, %d times fresh, %d bytes given", s, r.tap.fresh.Load(), r.tap.Given())
	}
}

// unfed sees that a connection was closed with nothing on it.
func unfed(t *testing.T, conn net.Conn) {
	t.Helper()
	if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("it read %d bytes: %v", n, err)
	}
}

func TestTheOwnerIsLetIn(t *testing.T) {
	kinds(t, func(t *testing.T, kind Kind) {
		pins(t, func(t *testing.T, pin pin) {
			r := ownedBy(t, kind, pin, os.Getpid())
			r.run(t)
			r.dial(t)
			r.expect(t, pipe.Connected)
		})
	})
}

func TestAnotherProcessIsTurnedAway(t *testing.T) {
	pins(t, func(t *testing.T, pin pin) {
		r := ownedBy(t, QEMU, pin, os.Getpid())
		r.run(t)
		other := r.start(t, stays, 0)
		r.turnedAway(t, nil, fmt.Sprintf("pid %d ", other.pid), fmt.Sprintf("that is pid %d", os.Getpid()))
		r.own(t, os.Getuid(), other.pid)
		r.dial(t)
		r.turnedAway(t, nil, fmt.Sprintf("that is pid %d", other.pid))
	})
}

func TestAnotherUserIsTurnedAway(t *testing.T) {
	t.Run("the socket is for another", func(t *testing.T) {
		r := ownedBy(t, QEMU, pinPeer, os.Getpid())
		r.own(t, os.Getuid()+1, os.Getpid())
		r.run(t)
		conn := r.dial(t)
		r.turnedAway(t, errUser)
		unfed(t, conn)
	})
	t.Run("the other comes", func(t *testing.T) {
		need.Root(t, "only root can be another user, too")
		const nobody = 65534
		pins(t, func(t *testing.T, pin pin) {
			r := open(t, QEMU, 1<<16)
			r.pin = pin
			for path, mode := range map[string]os.FileMode{r.path: 0o666, filepath.Dir(filepath.Dir(r.path)): 0o755} {
				if err := os.Chmod(path, mode); err != nil {
					t.Fatal(err)
				}
			}
			other := r.start(t, stays, nobody)
			r.own(t, os.Getuid(), other.pid) // the right process alone does not do
			r.run(t)
			r.turnedAway(t, errUser, fmt.Sprintf("pid %d uid %d", other.pid, nobody))
			r.own(t, nobody, other.pid) // nor the right user
			r.start(t, stays, nobody)
			r.turnedAway(t, nil, fmt.Sprintf("that is pid %d", other.pid))
		})
	})
}

func TestAPeerOutsideThePIDNamespaceIsTurnedAway(t *testing.T) {
	o := Owner{UID: 64055, PIDFile: pidFile(t, "0")}
	if err := o.admit(nil, Peer{UID: o.UID}, nil); !errors.Is(err, errNamespace) {
		t.Fatal(err)
	}
}

// Who has connected and died may have left its id to another, and its connection
// to a third.
func TestADeadPeerIsTurnedAway(t *testing.T) {
	for _, part := range []string{leaves, gives} {
		for _, reaped := range []bool{true, false} {
			t.Run(fmt.Sprintf("it %s, reaped %v", part, reaped), func(t *testing.T) {
				pins(t, func(t *testing.T, pin pin) {
					r := open(t, QEMU, 1<<16)
					r.pin = pin
					dead := r.start(t, part, 0)
					if reaped {
						if err := dead.cmd.Wait(); err != nil {
							t.Fatal(err)
						}
					} else if err := unix.Waitid(unix.P_PID, dead.pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
						t.Fatal(err)
					}
					r.own(t, os.Getuid(), dead.pid)
					r.run(t)
					r.turnedAway(t, errEnded, fmt.Sprintf("pid %d ", dead.pid))
				})
			})
		}
	}
}

// A connection is its maker's. That a living owner has handed it on cannot be
// seen; that another made it can.
func TestAConnectionIsItsMakers(t *testing.T) {
	pins(t, func(t *testing.T, pin pin) {
		for _, c := range []struct {
			name  string
			owner func(maker *peer) int
			want  pipe.EventKind
		}{
			{"the maker's", func(p *peer) int { return p.pid }, pipe.Connected},
			{"its holder's", func(p *peer) int { return p.child }, pipe.Refused},
		} {
			t.Run(c.name, func(t *testing.T) {
				r := open(t, QEMU, 1<<16)
				r.pin = pin
				maker := r.start(t, shares, 0)
				r.own(t, os.Getuid(), c.owner(maker))
				r.run(t)
				if e := r.expect(t, c.want); e.Peer.(Peer).PID != int32(maker.pid) {
					t.Fatalf("%v, made by %d", e.Peer, maker.pid)
				}
			})
		}
	})
}
