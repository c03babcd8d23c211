//go:build linux

package pipe

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"headgate/integration/need"
	"headgate/wire/feed"
)

// holding returns a hold at one end of a pair of sockets, and the other end.
func holding(t *testing.T) (h *hold, host int) {
	t.Helper()
	runtime.LockOSThread() // which ends with the test
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 2}
	if err := unix.SchedSetAttr(0, &attr, 0); err != nil || runtime.NumCPU() < 2 {
		need.Unmet(t, "needs two processors and CAP_SYS_NICE: run as root: ", err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	h, err = newHold(pair[0])
	if err != nil || h == nil {
		t.Fatal(h, err)
	}
	t.Cleanup(func() {
		h.close()
		_ = unix.Close(pair[0])
		_ = unix.Close(pair[1])
	})
	return h, pair[1]
}

// watch looks every millisecond how many processors are held, until enough processor
// time has gone into it and none is, and returns that time. It goes ahead of those that
// hold.
func (h *hold) watch(enough, patience time.Duration) (took time.Duration) {
	// The kernel's sleep: Go's would be ended by a thread that has no such priority.
	nap := unix.NsecToTimespec(int64(time.Millisecond))
	began := time.Now()
	for last := began; ; _ = unix.Nanosleep(&nap, nil) {
		n, now := h.held.Load(), time.Now()
		took, last = took+time.Duration(n)*now.Sub(last), now
		if n == 0 && (took >= enough || now.Sub(began) > patience) {
			return took
		}
	}
}

func send(t *testing.T, fd int) {
	t.Helper()
	if _, err := unix.Write(fd, []byte("push")); err != nil {
		t.Fatal(err)
	}
}

// What comes holds every processor, until its limit at the latest.
func TestHoldHasALimit(t *testing.T) {
	h, host := holding(t)
	h.is(waiting)
	send(t, host)
	// One after the other, perhaps: other threads of this process have no such priority.
	whole := time.Duration(min(runtime.NumCPU(), holdMost)) * holdLimit
	if took := h.watch(whole*3/4, 5*time.Second); took < whole*3/4 || took > 4*whole {
		t.Errorf("held for %s, want %s", took, whole)
	}
}

// Who reads lets go, and nothing is held for what is not read soon.
func TestHoldLetsGo(t *testing.T) {
	h, host := holding(t)
	send(t, host)
	if took := h.watch(time.Hour, holdLimit); took > holdLimit/2 {
		t.Errorf("held for %s while nobody waits for what comes", took)
	}
	h.is(waiting)
	var buf [16]byte
	if _, err := unix.Read(h.fd, buf[:]); err != nil {
		t.Fatal(err)
	}
	h.spin(time.Now().Add(time.Hour)) // returns: there is nothing more to read
	h.is(reading)
	done := make(chan bool)
	go func() { h.spin(time.Now().Add(time.Hour)); close(done) }()
	select {
	case <-done:
		t.Error("let go before the reader was done")
	case <-time.After(holdLimit):
	}
	h.is(elsewhere)
	<-done
}

// From the moment in which something comes until it was dealt with there is none in which
// whoever holds sees that there is nothing to read and that nobody reads.
func TestHoldHasNoGap(t *testing.T) {
	p, host := ports(t)
	s := p.(port).stream
	var fd int
	_ = s.raw.Control(func(f uintptr) { fd = int(f) })
	s.hold = &hold{fd: fd}
	defer func() { s.hold = nil }() // it has no threads to end
	push, _ := feed.Append(nil, &feed.Frame{Type: feed.TypePush, Data: make([]byte, 64)})
	for round := range 500 {
		var dealt atomic.Bool
		done := make(chan error)
		go func() {
			_, err := p.Receive()
			dealt.Store(true)
			p.Wipe()
			done <- err
		}()
		for s.hold.state.Load() != waiting {
			runtime.Gosched()
		}
		if _, err := host.Write(push); err != nil {
			t.Fatal(err)
		}
		s.hold.spin(time.Now().Add(patience))
		early := !dealt.Load()
		if err := <-done; err != nil || early {
			t.Fatalf("round %d: let go too early: %v, %v", round, early, err)
		}
	}
}

// Where it cannot be, there is none, and that is no error.
func TestNoHold(t *testing.T) {
	runtime.LockOSThread()
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL}
	if err := unix.SchedSetAttr(0, &attr, 0); err != nil {
		t.Fatal(err)
	}
	h, err := newHold(0)
	if h != nil || err != nil {
		t.Fatal(h, err)
	}
	h.is(waiting)
	h.close()
}
