//go:build linux

package pipe

import (
	"errors"
	"testing"
	"time"
)

// However the host ends a session, the guest waits for the next, and nothing of the one
// before is in that: not its bytes, and not the half of a frame that had come.
func TestHostHangsUp(t *testing.T) {
	for name, corrupt := range map[string]bool{"the host goes": false, "the host breaks the ring": true} {
		t.Run(name, func(t *testing.T) {
			g := newRingGuest(t)
			g.feed(t)
			first := g.host(t)
			if _, err := first.Write(pushOf("half of this")[:20]); err != nil {
				t.Fatal(err)
			}
			if a := g.got(t); len(a.Data) != 0 || a.Read != 20 {
				t.Errorf("%+v", a)
			}
			first.ring.corrupt.Store(corrupt)
			_ = first.Close()
			if a := g.got(t); !errors.Is(a.err, ErrAway) {
				t.Errorf("%+v", a)
			}
			g.gone(t, "5")
			g.still(t, quiet)
			g.bell(t, "5")
			push(t, g.host(t), "two")
			g.text(t, "two")
			if first.ring.abandoned.Load() || g.closed.Load() != 1 {
				t.Errorf("abandoned %v, closed %d", first.ring.abandoned.Load(), g.closed.Load())
			}
		})
	}
}

func TestGarbage(t *testing.T) {
	g := newRingGuest(t)
	g.feed(t)
	h := g.host(t)
	if _, err := h.Write(make([]byte, 5000)); err != nil {
		t.Fatal(err)
	}
	for read := 0; read < 5000; {
		a := g.got(t)
		if a.err != nil || len(a.Data) > 0 || a.Read == 0 {
			t.Fatalf("%+v", a)
		}
		read += a.Read
	}
	push(t, h, "sense")
	g.text(t, "sense")
}

// A host that sends without end has its sessions end, too.
func TestSessionsAreBounded(t *testing.T) {
	g := newRingGuest(t)
	g.feed(t)
	h := g.host(t)
	h.ring.met.Store(true)
	began := time.Now()
	still := time.Duration(0) // how long the host was, at most: this machine may have stood still
	for last := began; ; time.Sleep(quiet / 2) {
		now := time.Now()
		still, last = max(still, now.Sub(last)), now
		if _, err := h.Write([]byte("x")); err != nil {
			break
		}
		if now.Sub(began) > 2*longest {
			t.Fatal("it goes on")
		}
	}
	if d := time.Since(began); d < longest-quiet && still < quiet || d > longest+time.Second {
		t.Errorf("it took %v, and the host was still for %v at most", d, still)
	}
}

// An offer that fails is made once more; if it fails again, the pipe ends with why.
func TestOfferFails(t *testing.T) {
	g := sessioned(t)
	g.fail.Store(1)
	_ = g.pipe.Ask(7)
	h := g.host(t)
	push(t, h, "at last")
	g.text(t, "at last")
	g.report(t, h)
	g.fail.Store(2)
	_ = g.pipe.Ask(64)
	if a := g.got(t); !errors.Is(a.err, errNoPages) {
		t.Errorf("%+v", a)
	}
}

// Without xenstore there is no pipe.
func TestXenstoreGoes(t *testing.T) {
	g := sessioned(t)
	g.xen.Close()
	if a := g.got(t); a.err == nil || errors.Is(a.err, ErrAway) {
		t.Errorf("%+v", a)
	}
}

// Asking a host that does not read takes a bounded time.
func TestSendIsBounded(t *testing.T) {
	g := newRingGuest(t)
	g.feed(t)
	h := g.host(t)
	push(t, h, "one")
	g.text(t, "one")
	for range 100_000 {
		began := time.Now()
		err := g.pipe.Ask(1)
		if d := time.Since(began); d > time.Second {
			t.Fatalf("it took %v", d)
		}
		if err != nil {
			if !errors.Is(err, ErrAway) {
				t.Fatal(err)
			}
			return
		}
	}
	t.Error("the ring never filled")
}
