package xen

import (
	"context"
	"sync"
	"testing"
	"time"
)

// A guest that rewrites its offer as fast as it can is looked at a bounded number of
// times, and not listened to after a while; the others are.
func TestAStorm(t *testing.T) {
	h := newHost(t)
	h.boot(5, "storm", uuid5)
	h.boot(6, "calm", uuid6)
	h.follow()
	ctx, stop := context.WithCancel(t.Context())
	guest, calm := h.connect(5), h.connect(6)
	var writers sync.WaitGroup
	writes := 0
	writers.Go(func() {
		for ctx.Err() == nil {
			if err := guest.Write(RingPath+"/ring-ref", "9"); err != nil {
				t.Error(err)
				return
			}
			writes++
		}
	})
	offers(t, calm, "7", "3")
	began := time.Now()
	h.offered(6, 7)
	if d := time.Since(began); d > time.Second {
		t.Errorf("the calm one waited %v", d)
	}
	until(t, "the storm is not listened to", func() bool { return h.watches.Load() == 1 })
	if n := h.reads.Load(); n > 2*(often+longer+5) {
		t.Errorf("%d looks until then", n)
	}
	before := h.reads.Load()
	time.Sleep(2500 * time.Millisecond)
	if n := h.reads.Load() - before; n < 1 || n > 4 {
		t.Errorf("%d looks in 2.5 s of not listening", n)
	}
	if err := calm.Remove(RingPath); err != nil {
		t.Fatal(err)
	}
	h.silent(6)
	h.put(place(5)+"/name", "renamed") // domain 0's word is heard at once
	began = time.Now()
	h.is(5, "is renamed", func(d Domain) bool { return d.Name == "renamed" })
	if d := time.Since(began); d > 500*time.Millisecond {
		t.Errorf("it took %v", d)
	}
	began = time.Now()
	stop()
	writers.Wait()
	h.store.Release(5)
	h.down(5)
	if d := time.Since(began); d > 500*time.Millisecond {
		t.Errorf("it was followed for %v after its end", d)
	}
	if writes < 100 {
		t.Errorf("%d writes are no storm", writes)
	}
}

// What it does after the storm is seen within a second, and after a while at once.
func TestAfterAStorm(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 8 s")
	}
	t.Parallel()
	h := newHost(t)
	h.boot(5, "storm", uuid5)
	h.follow()
	guest := h.connect(5)
	for h.watches.Load() == 1 || h.reads.Load() < often {
		offers(t, guest, "9", "3")
	}
	offers(t, guest, "10", "3")
	began := time.Now()
	h.offered(5, 10)
	if d := time.Since(began); d > paceStorm+500*time.Millisecond {
		t.Errorf("it was seen after %v", d)
	}
	until(t, "listened to again", func() bool { return h.watches.Load() == 1 })
	time.Sleep(2 * paceSlow)
	offers(t, guest, "11", "3")
	began = time.Now()
	h.offered(5, 11)
	if d := time.Since(began); d > 2*paceSlow {
		t.Errorf("it was seen after %v", d)
	}
}

func TestPace(t *testing.T) {
	now := time.Now()
	at := func(d time.Duration) time.Time { return now.Add(d) }
	// As often as it may: how many are taken in a minute?
	var p pace
	n := 0
	for d := time.Duration(0); d < time.Minute; n++ {
		d += max(p.took(at(d)), time.Microsecond)
	}
	if n < 60 || n > often+longer+62 {
		t.Errorf("%d in a minute", n)
	}
	// Some, and then a minute of quiet.
	if d := p.took(at(2 * time.Minute)); d != 0 || !p.calm() {
		t.Errorf("after a minute of quiet it waits %v", d)
	}
	// A few each second are always taken at once.
	p = pace{}
	for d := time.Duration(0); d < time.Minute; d += time.Second / 4 {
		if wait := p.took(at(d)); wait != 0 {
			t.Fatalf("after %v it waits %v", d, wait)
		}
	}
	// One that is tried again shows soon what it is.
	p.probe(at(time.Hour))
	n = 0
	for d := time.Hour; ; n++ {
		wait := p.took(at(d))
		if wait == paceStorm {
			break
		}
		d += wait
	}
	if n > 3 {
		t.Errorf("%d more before it storms again", n)
	}
}
