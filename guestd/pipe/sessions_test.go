//go:build linux

package pipe

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"headgate/wire/feed"
)

// sessioned is a guest after its first session.
func sessioned(t *testing.T) *ringGuest {
	t.Helper()
	g := newRingGuest(t)
	g.feed(t)
	h := g.host(t)
	push(t, h, "first")
	if b := g.text(t, "first"); !b.Pushed {
		t.Error("the first push is none")
	}
	g.report(t, h)
	return g
}

// report ends a session as the feeder does, and waits for its end on both sides.
func (g *ringGuest) report(t *testing.T, h host) {
	t.Helper()
	g.said(t, h)
	g.gone(t, "5")
}

// said has the guest report, which ends the session.
func (g *ringGuest) said(t *testing.T, h host) {
	t.Helper()
	if err := g.pipe.Report(&feed.Report{Reason: "done"}); err != nil {
		t.Error(err)
	}
	if f := frames(t, h.File, 1); f[0].Report.Reason != "done" {
		t.Errorf("%+v", f)
	}
	if _, err := h.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("after the report: %v", err)
	}
}

// A session is a push, a report, and nothing that is left of it.
func TestSession(t *testing.T) {
	g := sessioned(t)
	if g.closed.Load() != 1 || g.offers.Load() != 1 {
		t.Errorf("%d rings, %d closed", g.offers.Load(), g.closed.Load())
	}
	g.still(t, 2*quiet)
	if g.pipe.Kind() != VchanKind || g.pipe.Path() != "vchan:data/headgate" {
		t.Errorf("%s at %s", g.pipe.Kind(), g.pipe.Path())
	}
	if err := g.pipe.Report(new(feed.Report)); !errors.Is(err, ErrAway) {
		t.Errorf("a report without a session: %v", err)
	}
}

// Ask has the host come, whose push is the answer and no surprise.
func TestAskOpensASession(t *testing.T) {
	g := sessioned(t)
	for range 3 {
		if err := g.pipe.Ask(6); err != nil {
			t.Fatal(err)
		}
		h := g.host(t)
		push(t, h, "answer")
		if b := g.text(t, "answer"); b.Pushed {
			t.Error("what was asked for counts as pushed")
		}
		g.report(t, h)
	}
}

// The first Ask and the bell that was just hung up have one session.
func TestAskAtTheStart(t *testing.T) {
	g := newRingGuest(t)
	if err := g.pipe.Ask(64); !errors.Is(err, ErrSoon) {
		t.Errorf("before the host has come: %v", err)
	}
	g.feed(t)
	h := g.host(t)
	if err := g.pipe.Ask(5); !errors.Is(err, ErrSoon) {
		t.Errorf("before the host has come: %v", err)
	}
	push(t, h, strings.Repeat("x", 64))
	g.text(t, strings.Repeat("x", 64))
	g.report(t, h)
	g.still(t, quiet)
}

// What a push is short of is asked for, and only then is the session over.
func TestPushIsShort(t *testing.T) {
	g := sessioned(t)
	if err := g.pipe.Ask(100); err != nil {
		t.Fatal(err)
	}
	h := g.host(t)
	push(t, h, "short")
	g.text(t, "short")
	if f := frames(t, h.File, 1); f[0].N != 95 {
		t.Errorf("%+v", f)
	}
	if err := g.pipe.Report(&feed.Report{Reason: "one"}); err != nil {
		t.Fatal(err)
	}
	frames(t, h.File, 1)
	push(t, h, strings.Repeat("x", 95))
	g.text(t, strings.Repeat("x", 95))
	if err := g.pipe.Ask(7); err != nil { // a test failed, say
		t.Fatal(err)
	}
	if f := frames(t, h.File, 1); f[0].N != 7 {
		t.Errorf("%+v", f)
	}
	push(t, h, "seven..")
	g.text(t, "seven..")
	g.report(t, h)
}

func TestBellOpensASession(t *testing.T) {
	g := sessioned(t)
	g.bell(t, "5")
	h := g.host(t)
	push(t, h, "rung")
	if b := g.text(t, "rung"); !b.Pushed {
		t.Error("it is no push")
	}
	g.bell(t, "5") // the host may mean another push
	next := make(chan host)
	go func() { next <- g.host(t) }()
	g.said(t, h) // the next may be offered before anybody can see that this is gone
	h = <-next
	push(t, h, "again")
	g.text(t, "again")
	g.report(t, h)
	g.still(t, quiet)
}

// Where nobody reports, the ring stays for a moment only.
func TestQuietSessionEnds(t *testing.T) {
	g := newRingGuest(t)
	g.feed(t)
	h := g.host(t)
	push(t, h, "one")
	g.text(t, "one")
	began := time.Now()
	if _, err := h.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if d := time.Since(began); d < quiet/2 || d > quiet+time.Second {
		t.Errorf("it took %v", d)
	}
	g.gone(t, "5")
}

// A host that does not come within a second is away, and is tried again at each Ask
// and whenever it rings.
func TestHostIsAway(t *testing.T) {
	g := newRingGuest(t)
	began := time.Now()
	g.feed(t)
	h := g.host(t)
	if a := g.got(t); !errors.Is(a.err, ErrAway) {
		t.Fatalf("%+v", a)
	}
	if d := time.Since(began); d < settle || d > settle+time.Second {
		t.Errorf("it took %v", d)
	}
	if h.ring.abandoned.Load() || g.closed.Load() != 1 {
		t.Error("the ring was not closed")
	}
	g.gone(t, "5")
	g.still(t, quiet)
	if err := g.pipe.Ask(3); !errors.Is(err, ErrAway) {
		t.Error(err)
	}
	h = g.host(t)
	push(t, h, "now")
	g.text(t, "now")
	g.report(t, h)
	if err := g.pipe.Ask(3); err != nil {
		t.Error(err)
	}
	push(t, g.host(t), "yes")
	g.text(t, "yes")
}

// A host that has come and has nothing yet is waited for, not for ever.
func TestHostIsDry(t *testing.T) {
	g := newRingGuest(t)
	g.feed(t)
	h := g.host(t)
	h.ring.met.Store(true)
	time.Sleep(settle + quiet)
	push(t, h, "late")
	g.text(t, "late")
	g.report(t, h)
	if err := g.pipe.Ask(64); err != nil {
		t.Error(err)
	}
	h = g.host(t)
	h.ring.met.Store(true)
	push(t, h, "some")
	g.text(t, "some")
	if a := g.got(t); !errors.Is(a.err, ErrDry) {
		t.Errorf("%+v", a)
	}
}

// Between sessions there is nothing to wake up for, and Close wakes what waits.
func TestIdle(t *testing.T) {
	g := newRingGuest(t)
	g.feed(t)
	h := g.host(t)
	time.Sleep(quiet)
	if n := h.ring.reads.Load(); n != 1 {
		t.Errorf("%d reads of an idle ring", n)
	}
	push(t, h, "one")
	g.text(t, "one")
	g.report(t, h)
	n := h.ring.reads.Load()
	g.still(t, quiet)
	if h.ring.reads.Load() != n {
		t.Error("a ring was read after its end")
	}
	closed(t, g)
}

// closed closes the pipe, which wakes who receives.
func closed(t *testing.T, g *ringGuest) {
	t.Helper()
	if err := g.pipe.Close(); err != nil {
		t.Error(err)
	}
	if a := g.got(t); !errors.Is(a.err, os.ErrClosed) {
		t.Errorf("%+v", a)
	}
	if err := g.pipe.Ask(1); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	if err := g.pipe.Close(); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

func TestCloseEndsTheSession(t *testing.T) {
	g := newRingGuest(t)
	g.feed(t)
	h := g.host(t)
	time.Sleep(10 * time.Millisecond)
	closed(t, g)
	g.gone(t, "5")
	if h.ring.abandoned.Load() {
		t.Error("it was abandoned")
	}
}
