package vhosttest

import "testing"

// use is what a device does with the next chain, by the book (virtio 1.2, sections
// 2.7.6 to 2.7.8).
func use(r *Ring, n uint32) (head uint16) {
	idx := r.UsedIdx()
	head = uint16(r.Memory.Get32(r.Avail + 4 + 2*uint64(idx%r.Size)))
	at := r.Used + 4 + 8*uint64(idx%r.Size)
	r.Memory.Put32(at, uint32(head))
	r.Memory.Put32(at+4, n)
	r.Memory.store(r.Used+2, idx+1)
	return head
}

func TestRingGoesRound(t *testing.T) {
	for _, size := range []uint16{1, 4, 256, 1024} {
		f := newFront(t, Options{QueueSize: size, First: 65530})
		for i := range 3 * int(size) {
			head, err := f.Post(Buffer(f.Data, 64))
			if err != nil {
				t.Fatal(err)
			}
			if got := use(&f.Ring, uint32(i)); got != head {
				t.Fatalf("chain %d is available, %d was posted", got, head)
			}
			if got, n, ok, err := f.Take(); got != head || n != uint32(i) || !ok || err != nil {
				t.Fatalf("chain %d, %d bytes, %v, %v", got, n, ok, err)
			}
		}
		if _, _, ok, err := f.Take(); ok || err != nil {
			t.Fatalf("%v, %v", ok, err)
		}
	}
}

func TestRingKeepsItsDescriptors(t *testing.T) {
	f := newFront(t, Options{QueueSize: 8})
	for range 20 {
		for _, n := range []int{3, 1, 4} {
			if _, err := f.Post(make([]Desc, n)...); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := f.Post(Desc{}); err == nil {
			t.Fatal("nine of eight descriptors")
		}
		for range 3 {
			use(&f.Ring, 0)
			if _, _, ok, err := f.Take(); !ok || err != nil {
				t.Fatalf("%v, %v", ok, err)
			}
		}
	}
	use(&f.Ring, 0)
	if _, _, _, err := f.Take(); err == nil {
		t.Error("a chain was used twice and nobody noticed")
	}
}

// The examples of virtio 1.2, section 2.7.7.2, with indexes that wrap.
func TestMustKick(t *testing.T) {
	for _, c := range []struct {
		event uint16 // of the device
		posts int
		want  bool
	}{{65535, 1, true}, {0, 1, false}, {0, 2, true}, {2, 3, false}, {65534, 1, false}} {
		f := newFront(t, Options{First: 65535, EventIdx: true})
		f.Memory.store(f.availEventAt(), c.event)
		for range c.posts {
			if _, err := f.Post(Desc{}); err != nil {
				t.Fatal(err)
			}
		}
		if got := f.MustKick(); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
		if f.MustKick() {
			t.Errorf("%+v: nothing was posted", c)
		}
	}
	f := newFront(t, Options{})
	f.Memory.store(f.Ring.Used, 1)
	if _, err := f.Post(Desc{}); err != nil || f.MustKick() {
		t.Errorf("the device wants no kick: %v", err)
	}
}
