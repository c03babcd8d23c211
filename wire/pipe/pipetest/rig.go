package pipetest

import (
	"context"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"headgate/wire/pipe"
	"headgate/wire/wiretest"
)

// Options are what a pipe under test is made with.
type Options struct {
	Tap    pipe.Tap
	Notify func(pipe.Event)
}

// Subject is a pipe under test and its far side.
type Subject struct {
	Pipe pipe.Pipe
	// Dial is the next connection, as the guest has it. It is called while Run runs,
	// and when the connection before has ended.
	Dial func(t *testing.T) io.ReadWriteCloser
}

// tap is a tank that counts its newcomers.
type tap struct {
	*wiretest.Tank
	fresh atomic.Int32
}

func (t *tap) Fresh() { t.fresh.Add(1) }

type rig struct {
	t *testing.T
	Subject
	tap    *tap
	events chan pipe.Event
	stop   func() // has Run end, and waits for it
}

func newRig(t *testing.T, create func(*testing.T, Options) Subject, level int) *rig {
	t.Helper()
	r := &rig{t: t, tap: &tap{Tank: wiretest.NewTank(level)}, events: make(chan pipe.Event, 100)}
	r.Subject = create(t, Options{Tap: r.tap, Notify: func(e pipe.Event) { r.events <- e }})
	return r
}

// start has the pipe serve until stop or the end of the test.
func start(t *testing.T, create func(*testing.T, Options) Subject, level int) *rig {
	t.Helper()
	r := newRig(t, create, level)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Pipe.Run(ctx) }()
	r.stop = func() {
		cancel()
		select {
		case err := <-done:
			done <- nil
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(soon):
			t.Error("Run does not end with its context")
		}
	}
	t.Cleanup(r.stop)
	return r
}

func (r *rig) dial() *guest {
	r.t.Helper()
	g := newGuest(r.t, r.Dial(r.t))
	r.expect(pipe.Connected)
	return g
}

func (r *rig) expect(kind pipe.EventKind) pipe.Event {
	r.t.Helper()
	select {
	case e := <-r.events:
		if e.Kind != kind {
			r.t.Fatalf("event %+v, want kind %d", e, kind)
		}
		return e
	case <-time.After(soon):
		r.t.Fatalf("nothing happened, want kind %d", kind)
	}
	return pipe.Event{}
}

// stats waits until the pipe's state is as it should be.
func (r *rig) stats(what string, as func(pipe.Stats) bool) {
	r.t.Helper()
	for deadline := time.Now().Add(soon); !as(r.Pipe.Stats()); {
		if time.Now().After(deadline) {
			r.t.Fatalf("%s: %+v", what, r.Pipe.Stats())
		}
		<-time.After(time.Millisecond)
	}
}
