package vhost

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"headgate/kvm/vhost/vhosttest"
	"headgate/wire/wiretest"
)

// An owner can change an eventfd after it was looked at. Whatever it does, the device
// ends when it is to, and takes no processor meanwhile.
func TestHostileEventfds(t *testing.T) {
	blocking := func(t *testing.T, fd int) {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFL, 0); err != nil {
			t.Fatal(err)
		}
	}
	full := func(t *testing.T, fd int) {
		most := binary.NativeEndian.AppendUint64(nil, 1<<64-2)
		for {
			var count [8]byte
			_, _ = unix.Read(fd, count[:])
			_, err := unix.Write(fd, most)
			if err == nil {
				return
			}
			if !errors.Is(err, unix.EAGAIN) { // it was signalled meanwhile
				t.Fatal(err)
			}
		}
	}
	ends := func(t *testing.T, r *rig) {
		t.Helper()
		// A message has the ring stand still, and go on.
		if _, err := r.Get(vhosttest.GetFeatures, nil); err != nil {
			t.Fatal(err)
		}
		if err := r.SetMemTable(r.Region()); err != nil {
			t.Fatal(err)
		}
		r.gone()
	}
	t.Run("the kick blocks", func(t *testing.T) {
		leakless(t)
		beside(t)
		r := start(t, new(wiretest.Endless), vhosttest.Options{})
		r.read(64)
		blocking(t, r.KickFD())
		r.read(64)
		r.read(64)
		time.Sleep(20 * time.Millisecond) // it looks for more
		ends(t, r)
	})
	t.Run("the call is full", func(t *testing.T) {
		leakless(t)
		beside(t)
		r := start(t, new(wiretest.Endless), vhosttest.Options{})
		full(t, r.CallFD())
		r.read(64)
		full(t, r.CallFD())
		ends(t, r)
	})
	t.Run("the call is full and blocks", func(t *testing.T) {
		leakless(t)
		beside(t)
		r := start(t, new(wiretest.Endless), vhosttest.Options{})
		r.read(64)
		fd := eventfd(t, unix.EFD_NONBLOCK)
		r.say(t, vhosttest.SetVringCall, vhosttest.Longs(0), fd)
		called(t, fd) // for it is new
		full(t, fd)
		blocking(t, fd)
		r.post(vhosttest.Buffer(r.Data, 64))
		time.Sleep(20 * time.Millisecond) // it hangs in the call
		ends(t, r)
	})
	t.Run("the kick counts down by ones", func(t *testing.T) {
		leakless(t)
		beside(t)
		r := start(t, new(wiretest.Endless), vhosttest.Options{})
		fd := eventfd(t, unix.EFD_NONBLOCK|unix.EFD_SEMAPHORE)
		full(t, fd)
		r.say(t, vhosttest.SetVringKick, vhosttest.Longs(0), fd)
		if _, err := r.Get(vhosttest.GetFeatures, nil); err != nil {
			t.Fatal(err)
		}
		before := processorTime(t)
		const pause = 300 * time.Millisecond
		time.Sleep(pause)
		if took := processorTime(t) - before; took > pause/3 {
			t.Errorf("it took %v of %v", took, pause)
		}
		if _, err := r.Post(vhosttest.Buffer(r.Data, 64)); err != nil {
			t.Fatal(err)
		}
		var one [8]byte
		_, _ = unix.Read(fd, one[:]) // it is at its maximum
		one[0] = 1
		if _, err := unix.Write(fd, one[:]); err != nil {
			t.Fatal(err)
		}
		if n := r.used(); n != 64 {
			t.Errorf("%d bytes", n)
		}
		ends(t, r)
	})
	t.Run("one for both", func(t *testing.T) {
		leakless(t)
		beside(t)
		r := start(t, new(wiretest.Endless), vhosttest.Options{})
		r.say(t, vhosttest.SetVringKick, vhosttest.Longs(0), r.CallFD())
		r.post(vhosttest.Buffer(r.Data, 64))
		ends(t, r)
	})
}

// Who empties an eventfd does not wait for there to be something: its owner may have
// taken that in the same moment.
func TestEmptyDoesNotWait(t *testing.T) {
	fd := eventfd(t, 0)
	emptied := make(chan struct{})
	go func() {
		defer close(emptied)
		call(fd).empty()
	}()
	select {
	case <-emptied:
	case <-time.After(soon):
		t.Fatal("it waits")
	}
}

// called waits until an eventfd was signalled, and takes that.
func called(t *testing.T, fd int) {
	t.Helper()
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for end := time.Now().Add(soon); ; {
		n, err := unix.Poll(poll, int(soon/time.Millisecond))
		if n == 1 {
			break
		}
		if !errors.Is(err, unix.EINTR) || time.Now().After(end) {
			t.Fatalf("nobody calls (%v)", err)
		}
	}
	var count [8]byte
	if _, err := unix.Read(fd, count[:]); err != nil {
		t.Fatal(err)
	}
}

func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
