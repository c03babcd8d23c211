package vhost

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"headgate/kvm/vhost/vhosttest"
	"headgate/wire/wiretest"
)

// Whatever is said while a request waits, it is answered, once.
func TestMessagesWhileARequestWaits(t *testing.T) {
	leakless(t)
	beside(t)
	tank := wiretest.NewTank(0)
	r := start(t, tank, vhosttest.Options{Ack: true, QueueSize: 4})
	for name, say := range map[string]func() error{
		"features": func() error { _, err := r.Get(vhosttest.GetFeatures, nil); return err },
		"memory":   func() error { return r.SetMemTable(r.Region()) },
		"call":     func() error { return r.Set(vhosttest.SetVringCall, vhosttest.Longs(0), r.CallFD()) },
		"kick":     func() error { return r.Set(vhosttest.SetVringKick, vhosttest.Longs(0), r.KickFD()) },
		"no call": func() error {
			err := r.Set(vhosttest.SetVringCall, vhosttest.Longs(vhosttest.NoFD))
			return errors.Join(err, r.Set(vhosttest.SetVringCall, vhosttest.Longs(0), r.CallFD()))
		},
		"disable": func() error {
			err := r.Set(vhosttest.SetVringEnable, vhosttest.Words(0, 0))
			return errors.Join(err, r.Set(vhosttest.SetVringEnable, vhosttest.Words(0, 1)))
		},
		"no owner": func() error {
			err := r.Set(vhosttest.ResetOwner, nil)
			return errors.Join(err, r.Set(vhosttest.SetVringEnable, vhosttest.Words(0, 1)))
		},
		"stop": func() error {
			base, err := r.Stop()
			if base != r.Taken() {
				err = errors.Join(err, fmt.Errorf("stopped at %d, and %d is not answered", base, r.Taken()))
			}
			return errors.Join(err, r.StartRing())
		},
		"hang up": func() error { r.gone(); r.reconnect(); r.start(); return nil },
		"the log": func() error {
			if err := r.Set(vhosttest.SetLogFD, nil, r.ErrFD()); err == nil {
				return errors.New("it was taken for done")
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			r.post(vhosttest.Buffer(r.Data, 64))
			dry(t, tank)
			if err := say(); err != nil {
				t.Fatal(err)
			}
			dry(t, tank)
			tank.Pour(64)
			if n := r.used(); n != 64 {
				t.Fatalf("%d bytes", n)
			}
			r.next(r.data(r.Data, 64))
		})
	}
	if given := tank.Given(); given != r.at {
		t.Errorf("the tap gave %d bytes, %d arrived", given, r.at)
	}
}

// The memory moves while a request waits: the answer goes to where it is then.
func TestTheMemoryMoves(t *testing.T) {
	leakless(t)
	tank := wiretest.NewTank(0)
	r := start(t, tank, vhosttest.Options{})
	r.post(vhosttest.Buffer(r.Data, 64))
	dry(t, tank)
	other, err := vhosttest.NewMemory(len(r.Memory.Bytes))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	copy(other.Bytes, r.Memory.Bytes)
	was := r.Memory
	defer func() { r.Memory = was }()
	r.Memory = other
	if err := r.SetMemTable(r.Region()); err != nil {
		t.Fatal(err)
	}
	tank.Pour(64)
	if n := r.used(); n != 64 {
		t.Fatalf("%d bytes", n)
	}
	r.next(r.data(r.Data, 64))
	for _, b := range was.Bytes[r.Data:] {
		if b != 0 {
			t.Fatal("it went to where the memory was")
		}
	}
	r.gone()
}

// A front end that was not told of an answer, because the device died between the
// used ring and the call, or called an eventfd that nobody listens to any more, is
// told when it says whom to call.
func TestAnAnswerThatNobodyWasToldOf(t *testing.T) {
	leakless(t)
	r := start(t, new(wiretest.Endless), vhosttest.Options{EventIdx: true})
	deaf := eventfd(t, unix.EFD_NONBLOCK)
	if err := r.Set(vhosttest.SetVringCall, vhosttest.Longs(0), deaf); err != nil {
		t.Fatal(err)
	}
	r.post(vhosttest.Buffer(r.Data, 64))
	for deadline := time.Now().Add(soon); r.UsedIdx() != 1; {
		if time.Now().After(deadline) {
			t.Fatal("no answer")
		}
		time.Sleep(time.Millisecond)
	}
	if _, err := r.Get(vhosttest.GetFeatures, nil); err != nil {
		t.Fatal(err)
	}
	var count [8]byte
	_, _ = unix.Read(r.CallFD(), count[:]) // of the start
	if err := r.Set(vhosttest.SetVringCall, vhosttest.Longs(0), r.CallFD()); err != nil {
		t.Fatal(err)
	}
	called(t, r.CallFD())
	if n := r.used(); n != 64 {
		t.Fatalf("%d bytes", n)
	}
	r.next(r.data(r.Data, 64))
	if err := r.SetMemTable(r.Region()); err != nil { // the ring is started once more
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	if n, err := unix.Read(r.CallFD(), make([]byte, 8)); err == nil {
		t.Errorf("it is told again, without a reason (%d)", n)
	}
}

func eventfd(t testing.TB, flags int) int {
	t.Helper()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|flags)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// A guest that is reset begins at index 0 again, in the same memory.
func TestTheGuestResetsTheDevice(t *testing.T) {
	leakless(t)
	tank := wiretest.NewTank(64)
	r := start(t, tank, vhosttest.Options{})
	for n := range 3 {
		r.read(64)
		r.post(vhosttest.Buffer(r.Data, 64)) // it does not wait for that
		dry(t, tank)
		if _, err := r.Stop(); err != nil {
			t.Fatal(err)
		}
		r.Reset(0)
		tank.Pour(64)
		if err := r.StartRing(); err != nil {
			t.Fatal(err)
		}
		r.read(64)
		tank.Pour(64)
		if fresh := r.tap.fresh.Load(); fresh != int32(n+2) {
			t.Fatalf("the guest was %d times a newcomer", fresh)
		}
	}
	if fresh := r.tap.fresh.Load(); fresh != 4 {
		t.Errorf("the guest was %d times a newcomer", fresh)
	}
}

// Serve says why it ended.
func TestWhyServeEnds(t *testing.T) {
	leakless(t)
	enough := errors.New("enough")
	r := start(t, new(wiretest.Endless), vhosttest.Options{})
	r.cancel(enough)
	if err := r.ended(); !errors.Is(err, enough) {
		t.Errorf("%v", err)
	}
	tank := wiretest.NewTank(0)
	r = start(t, tank, vhosttest.Options{})
	r.post(vhosttest.Buffer(r.Data, 64))
	dry(t, tank)
	tank.Close()
	if err := r.ended(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("%v", err)
	}
	r = connect(t, tank, vhosttest.Options{})
	r.gone()
	tank = wiretest.NewTank(0)
	r = start(t, tank, vhosttest.Options{})
	r.post(vhosttest.Buffer(r.Data, 64))
	dry(t, tank)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, _, err := r.Used(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	r.gone()
}
