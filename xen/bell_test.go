package xen

import (
	"net"
	"sync/atomic"
	"testing"
	"time"
)

func TestTheBellIsWrittenWhereADomainIs(t *testing.T) {
	h := newHost(t)
	h.boot(5, "web1", uuid5)
	h.follow()
	guest := h.connect(5)
	w, err := guest.Watch(BellPath)
	if err != nil {
		t.Fatal(err)
	}
	<-w.C // it was set
	for range 3 {
		h.follower.Bell(7)
		h.follower.Bell(5)
		select {
		case <-w.C:
		case <-time.After(10 * time.Second):
			t.Fatal("it did not ring")
		}
	}
	if _, err := h.tools.Read(place(7)); err == nil {
		t.Error("a domain that is not there has nodes")
	}
	if text, err := guest.Read(BellPath); err != nil || text == "" {
		t.Errorf("%q, %v", text, err)
	}
}

// A guest that writes its own bell all the time does not hold up the others.
func TestAContestedBellIsGivenUp(t *testing.T) {
	h := newHost(t)
	h.boot(5, "storm", uuid5)
	guest := h.connect(5)
	var commits atomic.Int32
	h.commits = func(net.Conn) {
		commits.Add(1)
		if err := guest.Write(BellPath, "mine"); err != nil {
			t.Error(err)
		}
	}
	h.follow()
	h.follower.Bell(5)
	until(t, "tried", func() bool { return commits.Load() > 0 })
	h.boot(6, "calm", uuid6)
	h.is(6, "is seen", func(d Domain) bool { return d.Name == "calm" })
	if n := commits.Load(); n < 2 || n > ringTries+1 { // the last one aborts
		t.Errorf("%d commits", n)
	}
}

// A bell whose connection is lost before it is written is written over the next.
func TestABellOutlivesAConnection(t *testing.T) {
	h := newHost(t)
	h.boot(5, "web1", uuid5)
	var lost atomic.Bool
	h.commits = func(c net.Conn) {
		if !lost.Swap(true) {
			c.Close()
		}
	}
	h.follow()
	h.follower.Bell(5)
	guest := h.connect(5)
	until(t, "rung", func() bool { text, err := guest.Read(BellPath); return err == nil && text != "" })
}
