package kvm

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"testing"
	"time"

	"headgate/wire/pipe"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if part := os.Getenv(partVariable); part != "" {
		play(part) // this is not the test, but one of its other processes
		return
	}
	goleak.VerifyTestMain(m)
}

func TestSocketHasItsModeAndItsClientIsFresh(t *testing.T) {
	kinds(t, func(t *testing.T, kind Kind) {
		r := run(t, kind, 1<<16)
		info, err := os.Lstat(r.path)
		if err != nil || info.Mode() != fs.ModeSocket|0o660 {
			t.Fatalf("%v, %v", info.Mode(), err)
		}
		r.dial(t)
		if e := r.expect(t, pipe.Connected); e.Peer.(Peer).PID != int32(os.Getpid()) || e.Peer.(Peer).UID != uint32(os.Getuid()) {
			t.Fatalf("peer %v", e.Peer)
		}
		for deadline := time.Now().Add(10 * time.Second); r.tap.fresh.Load() != 1; {
			if time.Now().After(deadline) {
				t.Fatal("the tap was not told that its guest is fresh")
			}
			time.Sleep(time.Millisecond)
		}
	})
}

func TestQEMUGetsWhatItLostUnasked(t *testing.T) {
	r := run(t, QEMU, 1<<16)
	conn := r.dial(t)
	if _, err := io.ReadFull(conn, make([]byte, pushed)); err != nil {
		t.Fatal(err)
	}
}

func TestAStrictClientGetsNothingUnasked(t *testing.T) {
	r := run(t, EGD, 1<<16)
	conn := r.dial(t)
	if _, err := conn.Write([]byte{2, 3}); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 100)); n != 3 || err != nil {
		t.Fatal(n, err)
	}
}

func TestOneClientAtATime(t *testing.T) {
	for _, kind := range []Kind{QEMU, Port} {
		t.Run(string(kind), func(t *testing.T) {
			r := run(t, kind, 1<<16)
			first := r.dial(t)
			r.expect(t, pipe.Connected)
			second := r.dial(t)
			if e := r.expect(t, pipe.Refused); !errors.Is(e.Err, errBusy) {
				t.Fatal(e.Err)
			}
			if _, err := second.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Fatalf("the second client read: %v", err)
			}
			// A newcomer replaces one that has hung up, whether or not its
			// server has seen it yet.
			first.Close()
			third := r.dial(t)
			if _, err := third.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			if s := r.Stats(); !s.Connected || s.Connections != 2 || s.Refused != 1 {
				t.Fatalf("%+v", s)
			}
		})
	}
}

func TestGarbageHarmsItsOwnConnectionAlone(t *testing.T) {
	r := run(t, EGD, 1<<16)
	good, bad := r.dial(t), r.dial(t)
	r.expect(t, pipe.Connected)
	r.expect(t, pipe.Connected)
	if _, err := bad.Write([]byte{0xff, 0xff}); err != nil {
		t.Fatal(err)
	}
	r.expect(t, pipe.Broken)
	if _, err := good.Write([]byte{2, 64}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(good, make([]byte, 64)); err != nil {
		t.Fatal(err)
	}
	if s := r.Stats(); s.Errors != 1 {
		t.Fatalf("%+v", s)
	}
}

func TestClientsBeyondTheRoomAreTurnedAway(t *testing.T) {
	r := run(t, EGD, 1<<16)
	r.dial(t)
	r.expect(t, pipe.Connected)
	second := r.dial(t)
	r.expect(t, pipe.Connected)
	r.dial(t)
	if e := r.expect(t, pipe.Refused); !errors.Is(e.Err, errMany) {
		t.Fatal(e.Err)
	}
	second.Close()
	r.expect(t, pipe.Disconnected)
	for deadline := time.Now().Add(10 * time.Second); r.room.used.Load() != 0; {
		if time.Now().After(deadline) {
			t.Fatal("the room is not given back")
		}
		time.Sleep(time.Millisecond)
	}
	r.dial(t)
	r.expect(t, pipe.Connected)
}

func TestAWaitingClientDoesNotKeepThePipe(t *testing.T) {
	kinds(t, func(t *testing.T, kind Kind) {
		r := run(t, kind, 0)
		conn := r.dial(t)
		if _, err := conn.Write([]byte{2, 64}); err != nil {
			t.Fatal(err)
		}
		if kind != Port {
			r.tap.Dry(t.Context(), 1)
		}
	}) // run's cleanup ends it
}

func TestNothingIsLeftOver(t *testing.T) {
	kinds(t, func(t *testing.T, kind Kind) {
		r := run(t, kind, 1<<20)
		before := descriptors(t)
		for range 200 {
			conn := r.dial(t)
			r.expect(t, pipe.Connected)
			conn.Close()
			r.expect(t, pipe.Disconnected)
		}
		if after := descriptors(t); after > before {
			t.Fatalf("%d descriptors before 200 clients, %d after", before, after)
		}
	})
}
