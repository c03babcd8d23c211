//go:build linux

package pipe

import (
	"testing"
	"time"
)

// A guest that is restored while it idles has nothing to give up: its host comes.
func TestRestoreWhileIdle(t *testing.T) {
	g := sessioned(t)
	began := time.Now()
	g.xen.Restore(5, 6)
	h := g.host(t)
	push(t, h, "fresh")
	if b := g.text(t, "fresh"); !b.Pushed {
		t.Error("it is no push")
	}
	t.Logf("received %v after the restore", time.Since(began))
	if h.ring.abandoned.Load() || g.offers.Load() != 2 {
		t.Errorf("%d rings", g.offers.Load())
	}
}

// One that is restored during a session is another domain: its nodes are gone, the ring
// is dead and says nothing. It is left alone, and another is offered at once.
func TestRestoreDuringASession(t *testing.T) {
	for name, met := range map[string]bool{"before the push": false, "after the push": true} {
		t.Run(name, func(t *testing.T) {
			g := newRingGuest(t)
			g.feed(t)
			old := g.host(t)
			g.offered()
			if met {
				push(t, old, "one")
				g.text(t, "one")
			}
			began := time.Now()
			g.xen.Restore(5, 6)
			h := g.host(t)
			push(t, h, "two")
			if b := g.text(t, "two"); !b.Pushed {
				t.Error("it is no push")
			}
			t.Logf("received %v after the restore", time.Since(began))
			closed(t, g)
			if !old.ring.abandoned.Load() || h.ring.abandoned.Load() || g.closed.Load() != 1 {
				t.Errorf("abandoned: %v, %v, closed %d", old.ring.abandoned.Load(), h.ring.abandoned.Load(), g.closed.Load())
			}
			g.gone(t, "6")
		})
	}
}

// offered waits until the session has begun, for a moment after its host could come.
func (g *ringGuest) offered() {
	for there := false; !there; time.Sleep(time.Millisecond) {
		g.pipe.mu.Lock()
		there = g.pipe.now != nil
		g.pipe.mu.Unlock()
	}
}

// What lay in the old ring is not taken: a twin of this guest may have it, too.
func TestRestoreForgetsWhatWasNotRead(t *testing.T) {
	g := newRingGuest(t)
	old := g.host0(t)
	push(t, old, "stale")
	g.xen.Restore(5, 6)
	for !g.pipe.now.moot.Load() {
		time.Sleep(time.Millisecond)
	}
	g.feed(t)
	push(t, g.host(t), "fresh")
	g.text(t, "fresh")
}

// host0 is the first ring of a guest where nobody receives.
func (g *ringGuest) host0(t *testing.T) host {
	t.Helper()
	if _, err := g.pipe.present(); err != nil {
		t.Fatal(err)
	}
	return g.host(t)
}

// The end of a session sees a resume even where its signal is yet to come.
func TestRestoreAtTheEndOfASession(t *testing.T) {
	g := newRingGuest(t)
	old := g.host0(t)
	g.xen.Release(5)
	if err := g.pipe.over(g.pipe.now); err == nil || !old.ring.abandoned.Load() {
		t.Errorf("%v, abandoned: %v", err, old.ring.abandoned.Load())
	}
}

// So does the beginning: the nodes are the new domain's, the port is not.
func TestRestoreDuringAnOffer(t *testing.T) {
	g := newRingGuest(t)
	rung := false
	g.meant = func() {
		if !rung {
			rung = true
			g.xen.Restore(5, 6)
		}
	}
	g.feed(t)
	old := g.host(t)
	push(t, g.host(t), "fresh")
	g.text(t, "fresh")
	if !old.ring.abandoned.Load() {
		t.Error("the ring of before was closed")
	}
}

// Nodes that somebody took away are not ours: the host cannot come.
func TestNodesAreTaken(t *testing.T) {
	g := newRingGuest(t)
	g.feed(t)
	old := g.host(t)
	g.offered()
	c := g.xen.Connect(5)
	defer func() { _ = c.Close() }()
	if err := c.Remove(RingPath); err != nil {
		t.Fatal(err)
	}
	g.bell(t, "5")
	push(t, g.host(t), "here")
	g.text(t, "here")
	if !old.ring.abandoned.Load() {
		t.Error("the ring was closed")
	}
}
