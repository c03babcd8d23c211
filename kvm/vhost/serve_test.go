package vhost

import (
	"fmt"
	"testing"

	"headgate/kvm/vhost/vhosttest"
	"headgate/wire/wiretest"
)

// Whatever the queue is like, all that the tap gives arrives, once and in order.
func TestAGuestReads(t *testing.T) {
	leakless(t)
	for _, size := range []uint16{1, 4, 256, 1024} {
		for _, eventIdx := range []bool{false, true} {
			for _, first := range []uint16{0, 65530} {
				opt := vhosttest.Options{QueueSize: size, EventIdx: eventIdx, First: first, Ack: eventIdx}
				t.Run(fmt.Sprintf("%+v", opt), func(t *testing.T) {
					r := start(t, new(wiretest.Endless), opt)
					for range 20 {
						r.read(64)
						r.read(600)
						r.read(1)
					}
					if n := r.tap.fresh.Load(); n != 1 {
						t.Errorf("the guest was %d times a newcomer", n)
					}
					if n, b := r.count.Requests.Load(), r.count.Bytes.Load(); n != 60 || b != r.at {
						t.Errorf("%d requests, %d bytes of %d", n, b, r.at)
					}
					if base, err := r.Stop(); err != nil || base != first+60 {
						t.Errorf("stopped at %d, %v", base, err)
					}
					r.gone()
				})
			}
		}
	}
}

// All that is in the ring when it is looked at is answered, each with a call of its
// own, without a kick.
func TestMoreThanOneRequest(t *testing.T) {
	leakless(t)
	for _, eventIdx := range []bool{false, true} {
		r := connect(t, new(wiretest.Endless), vhosttest.Options{QueueSize: 16, EventIdx: eventIdx})
		for i := range 16 {
			if _, err := r.Post(vhosttest.Buffer(r.Data+uint64(100*i), 10+i)); err != nil {
				t.Fatal(err)
			}
		}
		r.start()
		for i := range 16 {
			if n := r.used(); n != 10+i {
				t.Fatalf("request %d: %d bytes", i, n)
			}
			r.next(r.data(r.Data+uint64(100*i), 10+i))
		}
	}
}

func TestChains(t *testing.T) {
	leakless(t)
	beside(t)
	r := start(t, new(wiretest.Endless), vhosttest.Options{QueueSize: 8, Indirect: true})
	at := r.Data
	table := at + 32<<10
	direct := []vhosttest.Desc{vhosttest.Buffer(at, 3), vhosttest.Buffer(at+3, 1), vhosttest.Buffer(at+4, 700)}
	for name, c := range map[string]func() []vhosttest.Desc{
		"several":  func() []vhosttest.Desc { return direct },
		"indirect": func() []vhosttest.Desc { return []vhosttest.Desc{r.Table(table, direct...)} },
		"indirect at the end of a chain": func() []vhosttest.Desc {
			return []vhosttest.Desc{direct[0], direct[1], r.Table(table, direct[2])}
		},
		// A device must ignore the flag there (virtio 1.2, section 2.7.5.3.2).
		"an indirect table to be written to": func() []vhosttest.Desc {
			d := r.Table(table, direct...)
			d.Flags |= vhosttest.Write
			return []vhosttest.Desc{d}
		},
	} {
		t.Run(name, func(t *testing.T) {
			clear(r.Memory.Bytes[at:])
			r.post(c()...)
			if n := r.used(); n != 704 {
				t.Fatalf("%d bytes", n)
			}
			r.next(r.data(at, 704))
			if r.Memory.Bytes[at+704] != 0 {
				t.Error("it wrote beyond the buffer")
			}
		})
	}
}

// A guest that asks for more than 64 KiB gets 64 KiB, however far its buffer goes.
func TestAHugeBuffer(t *testing.T) {
	leakless(t)
	beside(t)
	r := start(t, new(wiretest.Endless), vhosttest.Options{Data: 128 << 10})
	for _, n := range []uint32{1<<16 + 1, 128 << 10, 1<<32 - 1} {
		d := vhosttest.Buffer(r.Data, 0)
		d.Len = n
		r.post(d)
		if n := r.used(); n != maxChain {
			t.Fatalf("%d bytes", n)
		}
		r.next(r.data(r.Data, maxChain))
		if r.Memory.Bytes[r.Data+maxChain] != 0 {
			t.Error("it wrote more than it said")
		}
	}
}

// A request is answered with what there is, and one that finds nothing waits.
func TestAShortTap(t *testing.T) {
	leakless(t)
	tank := wiretest.NewTank(100)
	r := start(t, tank, vhosttest.Options{})
	r.post(vhosttest.Buffer(r.Data, 600))
	if n := r.used(); n != 100 {
		t.Fatalf("%d bytes", n)
	}
	r.next(r.data(r.Data, 100))
	r.post(vhosttest.Buffer(r.Data, 600))
	dry(t, tank)
	tank.Pour(1)
	if n := r.used(); n != 1 {
		t.Fatalf("%d bytes", n)
	}
	r.next(r.data(r.Data, 1))
	if n := tank.Unzeroed(); n > 0 && !raced { // the detector does not see why that is none
		t.Errorf("%d bytes that were given away are still there", n)
	}
	r.gone()
	if n := tank.Unzeroed(); n > 0 {
		t.Errorf("%d bytes that were given away are still there", n)
	}
}
