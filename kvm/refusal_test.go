package kvm

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"headgate/wire/pipe"
)

func TestAWrongPeerTakesNoPlace(t *testing.T) {
	for _, kind := range []Kind{QEMU, Port} {
		t.Run(string(kind), func(t *testing.T) {
			r := open(t, kind, 1<<16) // for anybody at first
			r.run(t)
			fed := func(conn net.Conn) {
				t.Helper()
				if _, err := io.ReadFull(conn, make([]byte, pushed)); err != nil {
					t.Fatal(err)
				}
			}
			first := r.dial(t)
			r.expect(t, pipe.Connected)
			fed(first)
			r.own(t, os.Getuid()+1, os.Getpid())
			second := r.dial(t)
			r.turnedAway(t, errUser)
			unfed(t, second)
			if kind == QEMU {
				if _, err := first.Write([]byte{2, pushed}); err != nil {
					t.Fatal(err)
				}
				fed(first)
			}
			first.Close()
			unfed(t, r.dial(t))
			// The first one's end and the second refusal come in any order.
			for range 2 {
				if e := r.next(t); e.Kind != pipe.Disconnected && !errors.Is(e.Err, errUser) {
					t.Fatalf("%+v", e)
				}
			}
			if s := r.Stats(); s.Connections != 1 || s.Refused != 2 || s.Connected || r.tap.fresh.Load() != 1 {
				t.Fatalf("%+v, %d times fresh", s, r.tap.fresh.Load())
			}
			r.own(t, os.Getuid(), os.Getpid())
			fed(r.dial(t))
			if r.tap.fresh.Load() != 2 {
				t.Fatal("the newcomer is not fresh")
			}
		})
	}
}

func TestRefusalsLeaveNothingOver(t *testing.T) {
	own := pidFile(t, strconv.Itoa(os.Getpid()))
	uid := uint32(os.Getuid())
	pins(t, func(t *testing.T, pin pin) {
		r := open(t, QEMU, 1<<16)
		r.pin = pin
		r.run(t)
		before := descriptors(t)
		for range 50 {
			for _, o := range []*Owner{
				{UID: uid + 1, PIDFile: own},
				{UID: uid, PIDFile: own + ".none"},
				{UID: uid, PIDFile: filepath.Dir(own)},
				{UID: uid, PIDFile: pidFile(t, "1")},
			} {
				r.owner.Store(o)
				conn := r.dial(t)
				r.expect(t, pipe.Refused)
				conn.Close()
			}
			r.owner.Store(&Owner{UID: uid, PIDFile: own})
			conn := r.dial(t)
			r.expect(t, pipe.Connected)
			conn.Close()
			r.expect(t, pipe.Disconnected)
		}
		if after := descriptors(t); after > before {
			t.Fatalf("%d descriptors before 250 clients, %d after", before, after)
		}
	})
}
