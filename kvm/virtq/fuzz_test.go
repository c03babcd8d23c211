package virtq

import (
	"bytes"
	"encoding/binary"
	"testing"

	"headgate/kvm/vhost/vhosttest"
)

// fuzzSeeds are memories of guests that keep to the rules, and of some that do not, all
// with a queue of 4 at the beginning.
func fuzzSeeds(f *testing.F, add func(memory []byte, l Layout)) {
	const user, guest, data = 0x7000_0000, 0x10000, 0x400
	d := vhosttest.Desc{Addr: guest + data, Len: 64, Flags: vhosttest.Write}
	across := vhosttest.Desc{Addr: 0x12000 - 8, Len: 16, Flags: vhosttest.Write}
	loop := d
	loop.Flags |= vhosttest.Next
	table := vhosttest.Desc{Addr: guest + 0x200, Len: 48, Flags: vhosttest.Indirect}
	for _, first := range []uint16{0, 65535} {
		for _, eventIdx := range []bool{false, true} {
			for _, chain := range [][]vhosttest.Desc{{d}, {d, d, across}, {table}, {d, table}, {loop}, {across, across, across, across}} {
				m := &vhosttest.Memory{Bytes: make([]byte, data)}
				r := vhosttest.Ring{Memory: m, Size: 4, Avail: 0x80, Used: 0x100, EventIdx: eventIdx}
				r.Reset(first)
				for i, inner := range []vhosttest.Desc{loop, loop, d} {
					inner.Next = uint16(i + 1)
					r.PutDesc(0x200+uint64(16*i), inner)
				}
				if _, err := r.Post(chain...); err != nil {
					f.Fatal(err)
				}
				if len(chain) < 4 {
					if _, err := r.Post(d); err != nil {
						f.Fatal(err)
					}
				}
				add(m.Bytes, Layout{Size: 4, Desc: user, Avail: user + 0x80, Used: user + 0x100, Next: first, EventIdx: eventIdx})
			}
		}
	}
}

// user is an address of the front end's: 16 bits of it, and the number of the region.
func user(place uint32) uint64 {
	if region := place >> 16; region < uint32(len(fuzzRegions)) {
		return fuzzRegions[region].user + uint64(place&0xffff)
	}
	return uint64(place) << 32 // anywhere
}

// place is what user makes an address in the first region of.
func place(user uint64) uint32 { return uint32(user - fuzzRegions[0].user) }

// FuzzQueue walks whatever is in a guest's memory, with a queue wherever it is said to
// be, and holds the walk to a naive one that looks at each byte's address.
func FuzzQueue(f *testing.F) {
	fuzzSeeds(f, func(memory []byte, l Layout) {
		for _, writes := range [][]byte{{}, {0x02, 0x00, 2, 0x00, 0x0c, 4}} {
			f.Add(memory, uint8(2), place(l.Desc), place(l.Avail), place(l.Used), l.Next, l.EventIdx, writes)
			// In the second region and in the third, as if these were the rings.
			f.Add(memory, uint8(2), place(l.Desc)+1<<16, place(l.Avail), place(l.Used)+2<<16, l.Next, l.EventIdx, writes)
		}
	})
	f.Fuzz(func(t *testing.T, content []byte, size uint8, desc, avail, used uint32, next uint16, eventIdx bool, writes []byte) {
		g := newFuzzGuest(content)
		m, err := NewMemory(g.regions)
		if err != nil {
			t.Fatal(err)
		}
		l := Layout{Size: 1 << (size % 16), Desc: user(desc), Avail: user(avail), Used: user(used), Next: next, EventIdx: eventIdx}
		q, err := New(m, l)
		if err != nil {
			return
		}
		w := fuzzWalk{t: t, g: g, m: m, q: q, l: l, writes: writes}
		w.used = q.used
		for range 64 { // chains; a guest could go on for ever
			if !w.chain() {
				break
			}
		}
		before := bytes.Clone(g.bytes)
		q.Rest()
		w.wroteUsedOnly(before)
		if !g.intact() {
			t.Fatal("something was written beside the memory")
		}
	})
}

type fuzzWalk struct {
	t      *testing.T
	g      *fuzzGuest
	m      *Memory
	q      *Queue
	l      Layout
	used   []byte
	writes []byte // what the guest changes meanwhile: a place, 16 bits, and a byte
}

// chain serves the next chain; false: there is none.
func (w *fuzzWalk) chain() bool {
	base := w.q.Base()
	ok, err := w.q.Next()
	if err != nil && ok || w.q.Base() != base {
		w.t.Fatalf("%v, %v, base %d and then %d", ok, err, base, w.q.Base())
	}
	if !ok {
		return false
	}
	const limit = 4096 // bytes of a chain that are wanted
	hostile := len(w.writes) > 0
	var places []int
	good := false
	if !hostile {
		places, good = w.g.expect(w.q.desc, w.q.head, limit)
	}
	total := 0
	for pieces := 0; total < limit; pieces++ {
		if pieces > MaxSize*len(fuzzRegions) {
			w.t.Fatalf("a chain of %d pieces", pieces)
		}
		p, err := w.q.Buffer()
		if err != nil {
			if !hostile && (good || total != len(places)) {
				w.t.Fatalf("after %d bytes of %d, all right %v: %v", total, len(places), good, err)
			}
			return false
		}
		if p == nil {
			break
		}
		at, inside := w.g.inside(p)
		if !inside || len(p) == 0 {
			w.t.Fatalf("%d bytes at %d are not in the memory", len(p), at)
		}
		p = p[:min(len(p), limit-total)]
		for i := range p {
			if !hostile && (total+i >= len(places) || places[total+i] != at+i) {
				w.t.Fatalf("byte %d of the chain goes to %d", total+i, at+i)
			}
		}
		total += len(p)
		if hostile {
			w.scribble(p)
		}
	}
	if !hostile && (!good || total != len(places)) {
		w.t.Fatalf("%d bytes of %d, all right %v", total, len(places), good)
	}
	before := bytes.Clone(w.g.bytes)
	w.q.Done(total)
	w.wroteUsedOnly(before)
	if w.q.Base() != base+1 {
		w.t.Fatalf("base %d after %d", w.q.Base(), base)
	}
	return true
}

// scribble is what happens while a chain is walked: bytes go into the buffer, wherever
// that is, and the guest writes what it likes.
func (w *fuzzWalk) scribble(p []byte) {
	for i := range p {
		p[i] = byte(i)
	}
	if len(w.writes) < 3 {
		return
	}
	r := w.g.regions[0]
	r.Bytes[int(binary.LittleEndian.Uint16(w.writes))%len(r.Bytes)] = w.writes[2]
	w.writes = append(w.writes[3:len(w.writes):len(w.writes)], w.writes[:3]...)
}

// wroteUsedOnly sees that nothing but the used ring has changed.
func (w *fuzzWalk) wroteUsedOnly(before []byte) {
	w.t.Helper()
	at, _ := w.g.inside(w.used)
	end := at + len(w.used)
	if !bytes.Equal(before[:at], w.g.bytes[:at]) || !bytes.Equal(before[end:], w.g.bytes[end:]) {
		w.t.Fatal("something was written beside the used ring")
	}
}
