package xen

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"headgate/wire/pipe"
	"headgate/xen/xenstore"
)

// feeds has a Ring serve what a domain offers, as hostd does.
type feeds struct {
	*sink
	id   uint16
	ring *Ring
}

func (f feeds) feed(d Domain) {
	switch {
	case d.ID != f.id:
	case d.Offer == nil:
		f.ring.Await(d.ID)
	default:
		f.ring.Offer(*d.Offer)
	}
}

func (f feeds) Up(d Domain) {
	f.sink.Up(d)
	f.feed(d)
}

func (f feeds) Down(id uint16) {
	f.sink.Down(id)
	if id == f.id {
		f.ring.Withdraw()
	}
}

func (f feeds) All(domains []Domain) {
	f.sink.All(domains)
	for _, d := range domains {
		f.feed(d)
	}
	if _, there := f.get(f.id); !there {
		f.ring.Withdraw()
	}
}

// A ring that is connected ends with what its own domain does. That another domain floods
// xenstored, that this takes its time over each request, is lost again and again and short
// of memory, that domains come and go, that it offers anew what is connected, is nothing
// to it. Another program of its own domain that offers a ring is.
func TestOthersDoNotEndARing(t *testing.T) {
	h := newHost(t)
	h.boot(5, "storm", uuid5)
	h.boot(6, "calm", uuid6)
	calm, storm := h.connect(6), h.connect(5)
	offers(t, calm, "9", "3")

	d, events := newDock(), make(chan pipe.Event, 1000)
	f := feeds{sink: h.sink, id: 6, ring: newRing(Options{
		Tap: new(tap), Notify: func(e pipe.Event) { events <- e },
	}, d.connect)}
	var running sync.WaitGroup
	defer running.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	running.Go(func() { _ = f.ring.Run(ctx) })
	h.slow.Store(int64(2 * time.Millisecond))
	h.followInto(f)

	first := <-d.ends
	defer first.Close()
	over := make(chan struct{})
	running.Go(func() {
		defer close(over)
		for p := make([]byte, 1000); ; {
			if _, err := first.Read(p); err != nil {
				return
			}
		}
	})

	flood, stop := context.WithCancel(ctx)
	var writers sync.WaitGroup
	defer writers.Wait()
	defer stop()
	writers.Go(func() {
		for i := 0; flood.Err() == nil; i++ {
			for _, node := range []string{"/ring-ref", "/event-channel"} {
				if err := storm.Write(RingPath+node, strconv.Itoa(i%1000)); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	for i := range 4 {
		h.store.Short(place(6)+"/vm", true)
		h.put(place(6)+"/name", "calm"+strconv.Itoa(i)) // which is read again with all the rest
		offers(t, calm, "9", "3")
		id := uint16(10 + i)
		h.boot(id, "passing", "5f0ae2b6-9c0e-4b0a-8d0c-0000000000"+strconv.Itoa(10+i))
		time.Sleep(100 * time.Millisecond)
		h.store.Short(place(6)+"/vm", false)
		h.lose()
		h.is(6, "is known", func(d Domain) bool { return d.UUID == uuid6 && d.Name == "calm"+strconv.Itoa(i) })
		h.store.Release(id)
		h.down(id)
	}
	stop()
	writers.Wait()
	select {
	case <-over:
		t.Fatalf("the ring was ended; %s", h.said())
	default:
	}
	if s := f.ring.Stats(); !s.Connected || s.Connections != 1 || len(events) != 1 || strings.Contains(h.said(), "down 6") {
		t.Errorf("%+v, %d events; %s", s, len(events), h.said())
	}

	offers(t, h.connect(6), "10", "4") // guestd, say, beside the one that is connected
	<-over
	second := <-d.ends
	defer second.Close()
	offers(t, calm, "9", "3") // which offers anew, at its end
	third := <-d.ends
	defer third.Close()
	until(t, "its third connection", func() bool { return f.ring.Stats().Connections == 3 })
	if s := f.ring.Stats(); !s.Connected || len(events) != 1 {
		t.Errorf("%+v, %d events: the guest was there all the time", s, len(events))
	}
}

// What xenstored has no memory to tell is not gone.
func TestAXenstoredShortOfMemory(t *testing.T) {
	for _, node := range []string{"", "/name", "/vm", "/" + RingPath + "/ring-ref"} {
		h := newHost(t)
		h.boot(6, "calm", uuid6)
		offers(t, h.connect(6), "9", "3")
		h.follow()
		h.store.Short(place(6)+node, true)
		if err := h.tools.SetPerms(place(6)+"/name", // it fires the watch
			xenstore.Perm{Access: xenstore.None}, xenstore.Perm{Domain: 6, Access: xenstore.ReadOnly}); err != nil {
			t.Fatal(err)
		}
		h.follower.Bell(6)
		time.Sleep(200 * time.Millisecond)
		if d, there := h.get(6); !there || d.UUID != uuid6 || d.Name != "calm" || d.Offer == nil {
			t.Errorf("%q: there %v, %+v", node, there, d)
		}
		h.store.Short(place(6)+node, false)
		h.put(place(6)+"/name", "calmer")
		h.is(6, "is heard of again", func(d Domain) bool { return d.Name == "calmer" && d.UUID == uuid6 && d.Offer != nil })
		if log := h.said(); strings.Contains(log, "down") {
			t.Errorf("%q: %s", node, log)
		}
	}
}
