package virtq

import (
	"slices"
	"testing"
	"unsafe"

	"headgate/kvm/vhost/vhosttest"
)

// offset is where p begins in b.
func offset(b, p []byte) int {
	return int(uintptr(unsafe.Pointer(&p[0])) - uintptr(unsafe.Pointer(&b[0])))
}

func buffer(at uint64, n int) vhosttest.Desc { return vhosttest.Buffer(at, n) }

func TestPiecesOfChains(t *testing.T) {
	a, b, c := buffer(dataAt, 7), buffer(dataAt+4096, 1), buffer(dataAt+100, 4096)
	all := [][2]int{{dataAt, 7}, {dataAt + 4096, 1}, {dataAt + 100, 4096}}
	const table = dataAt + 64<<10
	for name, chain := range map[string]func(*rig) []vhosttest.Desc{
		"several":                   func(*rig) []vhosttest.Desc { return []vhosttest.Desc{a, b, c} },
		"a table":                   func(r *rig) []vhosttest.Desc { return []vhosttest.Desc{r.table(table, a, b, c)} },
		"a table after one":         func(r *rig) []vhosttest.Desc { return []vhosttest.Desc{a, r.table(table, b, c)} },
		"a table after two":         func(r *rig) []vhosttest.Desc { return []vhosttest.Desc{a, b, r.table(table, c)} },
		"a table at an odd address": func(r *rig) []vhosttest.Desc { return []vhosttest.Desc{a, r.table(table+1, b, c)} },
	} {
		for _, size := range []uint16{4, 1024} {
			for _, first := range []uint16{0, 65534} {
				t.Run(name, func(t *testing.T) {
					r := newRig(t, size, false, first)
					for i := range 5 {
						head := r.post(chain(r)...)
						r.next()
						if got := r.pieces(); !slices.Equal(got, all) {
							t.Fatalf("pieces %v, want %v", got, all)
						}
						if p, err := r.queue.Buffer(); p != nil || err != nil {
							t.Fatalf("a piece after the last, %v", err)
						}
						if base := r.queue.Base(); base != first+uint16(i) {
							t.Fatalf("base %d before it is done", base)
						}
						if !r.queue.Done(100 + i) {
							t.Error("the guest wants to be called")
						}
						r.took(head, 100+i)
						if base := r.queue.Base(); base != first+uint16(i)+1 {
							t.Fatalf("base %d when it is done", base)
						}
					}
				})
			}
		}
	}
}

// Only what belongs to it is written: the used entry, the index, and where the guest is
// to say when it wants to be called.
func TestWhatIsWritten(t *testing.T) {
	for _, size := range []uint16{1, 2, 256, 1024} {
		for _, first := range []uint16{0, 3, 65535} {
			r := newRig(t, size, true, first)
			for range 3 {
				head := r.post(buffer(dataAt, 64))
				before := snapshot(r.Memory.Bytes)
				r.next()
				r.pieces()
				if from, to := changes(before, r.Memory.Bytes); from != to {
					t.Fatalf("the walk wrote to %d to %d", from, to)
				}
				idx := r.Taken()
				r.queue.Done(0x01020304)
				entry := usedAt + 4 + 8*int(idx%size)
				want := snapshot(before)
				(&vhosttest.Memory{Bytes: want}).Put32(uint64(entry), uint32(head))
				(&vhosttest.Memory{Bytes: want}).Put32(uint64(entry)+4, 0x01020304)
				(&vhosttest.Memory{Bytes: want}).Put16(usedAt+2, idx+1)
				if from, to := changes(want, r.Memory.Bytes); from != to {
					t.Fatalf("size %d, index %d: %d to %d are not as they should be", size, idx, from, to)
				}
				if r.queue.Rest() {
					t.Fatal("there is nothing more")
				}
				(&vhosttest.Memory{Bytes: want}).Put16(usedAt+4+8*uint64(size), idx+1)
				if from, to := changes(want, r.Memory.Bytes); from != to {
					t.Fatalf("size %d, index %d: at rest %d to %d are not as they should be", size, idx, from, to)
				}
				r.took(head, 0x01020304)
			}
		}
	}
}

// The guest is called when it wants to be, as the standard's own formula says
// (virtio 1.2, section 2.7.7.2), wherever the indexes are.
func TestWhenTheGuestIsCalled(t *testing.T) {
	for _, first := range []uint16{0, 1, 32767, 65530, 65534, 65535} {
		for distance := range uint16(12) {
			r := newRig(t, 16, true, first)
			event := first + distance - 2
			for i := range uint16(8) {
				r.post(buffer(dataAt, 1))
				r.next()
				r.SetUsedEvent(event)
				called := r.queue.Done(1)
				old, new := first+i, first+i+1
				want := new-event-1 < new-old // vring_need_event
				if want = want || i == 0; called != want {
					t.Fatalf("event %d, used %d: called %v", event, old, called)
				}
			}
		}
	}
	r := newRig(t, 4, false, 65535)
	for i := range 6 {
		r.post(buffer(dataAt, 1))
		r.next()
		r.SetAvailFlags(uint16(i % 2)) // VIRTQ_AVAIL_F_NO_INTERRUPT
		if called := r.queue.Done(1); called != (i%2 == 0) {
			t.Errorf("request %d: called %v", i, called)
		}
		r.took(r.last(), 1)
	}
}

// last is the chain that was used last.
func (r *rig) last() uint16 {
	id, _ := r.UsedElem(r.UsedIdx() - 1)
	return uint16(id)
}

// The used ring goes on where it is, wherever the available ring goes on.
func TestTheUsedRingGoesOn(t *testing.T) {
	r := newRig(t, 4, false, 7)
	for range 3 {
		r.post(buffer(dataAt, 1))
	}
	r.next()
	r.queue.Done(1)
	queue, err := New(r.queue.mem, r.layout(9)) // as if one had been taken, and never been answered
	if err != nil {
		t.Fatal(err)
	}
	r.queue = queue
	r.next()
	r.queue.Done(3)
	if id, n := r.UsedElem(8); r.UsedIdx() != 9 || id != 2 || n != 3 {
		t.Errorf("used index %d, chain %d with %d bytes", r.UsedIdx(), id, n)
	}
}
