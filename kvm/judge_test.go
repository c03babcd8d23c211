package kvm

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"headgate/wire/pipe"
)

// asked sees that a client gets what it asks for.
func asked(t *testing.T, kind Kind, conn net.Conn) {
	t.Helper()
	if kind == Port {
		nextFrame(t, conn)
		return
	}
	if _, err := conn.Write([]byte{2, pushed}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, pushed)); err != nil {
		t.Fatal(err)
	}
}

// Who was there before the owner was known keeps nothing, and keeps nobody out.
func TestWhoIsThereBeforeTheOwnerIsKnown(t *testing.T) {
	kinds(t, func(t *testing.T, kind Kind) {
		pins(t, func(t *testing.T, pin pin) {
			r := open(t, kind, 1<<16)
			r.pin = pin
			r.run(t)
			other := r.start(t, stays, 0)
			r.expect(t, pipe.Connected)
			r.Judge() // nobody in particular is to be there
			r.own(t, os.Getuid(), os.Getpid())
			r.Judge()
			r.turnedAway(t, nil, fmt.Sprintf("pid %d ", other.pid), fmt.Sprintf("that is pid %d", os.Getpid()))
			conn := r.dial(t) // its server may not have ended yet
			seen := map[pipe.EventKind]int{}
			for range 2 {
				seen[r.next(t).Kind]++
			}
			if seen[pipe.Disconnected] != 1 || seen[pipe.Connected] != 1 {
				t.Fatalf("%v", seen)
			}
			asked(t, kind, conn)
			if s := r.Stats(); !s.Connected || s.Connections != 2 || s.Refused != 1 || s.Errors != 0 || r.tap.fresh.Load() != 2 {
				t.Fatalf("%+v, %d times fresh", s, r.tap.fresh.Load())
			}
		})
	})
}

func TestTheOwnerNoticesNothingOfBeingJudged(t *testing.T) {
	kinds(t, func(t *testing.T, kind Kind) {
		pins(t, func(t *testing.T, pin pin) {
			r := open(t, kind, 1<<16)
			r.pin = pin
			r.run(t)
			conn := r.dial(t)
			r.expect(t, pipe.Connected)
			before := descriptors(t)
			for range 50 {
				r.own(t, os.Getuid(), os.Getpid())
				r.Judge()
			}
			if after := descriptors(t); after > before {
				t.Errorf("%d descriptors before, %d after", before, after)
			}
			asked(t, kind, conn)
			if s := r.Stats(); s.Connections != 1 || s.Refused != 0 || r.tap.fresh.Load() != 1 || len(r.events) > 0 {
				t.Fatalf("%+v, %d times fresh, %d events", s, r.tap.fresh.Load(), len(r.events))
			}
		})
	})
}

func TestTheOthersAreHungUpOnAlone(t *testing.T) {
	r := open(t, EGD, 1<<16)
	r.run(t)
	conn := r.dial(t)
	r.expect(t, pipe.Connected)
	r.start(t, stays, 0)
	r.expect(t, pipe.Connected)
	r.own(t, os.Getuid(), os.Getpid())
	r.Judge()
	r.turnedAway(t, nil)
	r.expect(t, pipe.Disconnected)
	asked(t, EGD, conn)
	if s := r.Stats(); !s.Connected || s.Refused != 1 {
		t.Fatalf("%+v", s)
	}
}

// The owner changes after a client was admitted, and before it is taken in.
func TestAClientThatIsLetInMeanwhileIsJudged(t *testing.T) {
	for name, uid := range map[string]int{"it is another": os.Getuid() + 1, "it is the owner": os.Getuid()} {
		t.Run(name, func(t *testing.T) {
			r := open(t, QEMU, 1<<16)
			var once sync.Once
			r.opt.Owner = func() *Owner {
				before := r.owner.Load()
				once.Do(func() {
					r.own(t, uid, os.Getpid())
					r.Judge() // of nobody, yet
				})
				return before
			}
			r.run(t)
			conn := r.dial(t)
			if uid == os.Getuid() {
				r.expect(t, pipe.Connected)
				return
			}
			r.turnedAway(t, errUser)
			unfed(t, conn)
		})
	}
}

// One that still waits for its forerunner's end has not been connected.
func TestAClientThatWaitsIsHungUpOn(t *testing.T) {
	r := open(t, QEMU, 1<<16)
	t.Cleanup(func() { r.Close() })
	r.dial(t)
	conn, err := r.listener.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	peer, err := peerOf(conn)
	if err != nil {
		t.Fatal(err)
	}
	forerunner := make(chan struct{})
	c := &client{conn: conn, peer: peer, done: make(chan struct{}), replaces: forerunner}
	if err := r.letIn(c); err != nil {
		t.Fatal(err)
	}
	r.tasks.Go(func() { _ = r.attend(t.Context(), c) })
	r.own(t, os.Getuid()+1, os.Getpid())
	r.Judge()
	r.Judge() // once is enough
	r.turnedAway(t, errUser)
	close(forerunner)
	r.tasks.Wait()
	if s := r.Stats(); s.Connected || s.Refused != 1 || len(r.conns) > 0 || r.tap.fresh.Load() > 0 || len(r.events) > 0 {
		t.Fatalf("%+v, %d connections, %d times fresh, %d events", s, len(r.conns), r.tap.fresh.Load(), len(r.events))
	}
}

// Whatever comes and goes while the owner changes: in the end nobody is there but
// whom the last one lets be.
func TestJudgingBesideComingAndGoing(t *testing.T) {
	r := open(t, EGD, 1<<20)
	r.opt.Notify = nil
	r.room.Resize(100)
	r.run(t)
	right, wrong := pidFile(t, strconv.Itoa(os.Getpid())), pidFile(t, "1")
	var tasks sync.WaitGroup
	for range 4 {
		tasks.Go(func() {
			for range 50 {
				r.dial(t)
			}
		})
	}
	for n := range 100 {
		file := right
		if n%2 == 1 {
			file = wrong
		}
		r.owner.Store(&Owner{UID: uint32(os.Getuid()), PIDFile: file})
		r.Judge()
	}
	tasks.Wait()
	for deadline := time.Now().Add(10 * time.Second); r.Stats().Connected || r.Stats().Refused < 200; {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", r.Stats())
		}
		time.Sleep(time.Millisecond)
	}
}
