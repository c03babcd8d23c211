package virtq

import (
	"bytes"
	"encoding/binary"
	"unsafe"

	"headgate/kvm/vhost/vhosttest"
)

// The fuzzed guest's memory: three regions with gaps between them here, of which the
// first two follow each other in the guest.
var fuzzRegions = []struct {
	guest, user uint64
	at, size    int
}{
	{0x10000, 0x7000_0000, 64, 8192},
	{0x12000, 0x7200_0000, 64 + 8192 + 64, 1024},
	{1 << 40, 0x7100_0000, 64 + 8192 + 64 + 1024 + 64, 1024},
}

const (
	fuzzMemory = 64 + 8192 + 64 + 1024 + 64 + 1024 + 64
	canary     = 0xc5 // in the gaps
)

// fuzzGuest is that memory.
type fuzzGuest struct {
	bytes   []byte
	regions []Region
}

func newFuzzGuest(content []byte) *fuzzGuest {
	g := &fuzzGuest{bytes: bytes.Repeat([]byte{canary}, fuzzMemory)}
	for _, r := range fuzzRegions {
		b := g.bytes[r.at:][:r.size]
		clear(b)
		content = content[copy(b, content):]
		g.regions = append(g.regions, Region{Guest: r.guest, User: r.user, Bytes: b})
	}
	return g
}

// intact says whether the gaps are as they were.
func (g *fuzzGuest) intact() bool {
	last := 0
	for _, r := range fuzzRegions {
		if bytes.Count(g.bytes[last:r.at], []byte{canary}) != r.at-last {
			return false
		}
		last = r.at + r.size
	}
	return bytes.Count(g.bytes[last:], []byte{canary}) == fuzzMemory-last
}

// at is where the byte at a guest's address is; -1: that is no memory.
func (g *fuzzGuest) at(addr uint64) int {
	for _, r := range fuzzRegions {
		if addr >= r.guest && addr-r.guest < uint64(r.size) {
			return r.at + int(addr-r.guest)
		}
	}
	return -1
}

// flat says whether n bytes from a guest's address on are in one region.
func (g *fuzzGuest) flat(addr uint64, n uint32) bool {
	for i := range uint64(n) {
		if place := g.at(addr + i); place < 0 || place != g.at(addr)+int(i) {
			return false
		}
	}
	return true
}

// expect is the naive walk of a chain in the queue's table: the places of all bytes
// that are to be written, as far as limit, and whether the chain is all right that far.
func (g *fuzzGuest) expect(table []byte, head uint16, limit int) (places []int, ok bool) {
	indirect := false
	walked, left := 0, len(table)/descSize
	for at := int(head); left > 0 && walked < MaxSize; left-- {
		walked++
		d := table[descSize*at:]
		addr, n := binary.LittleEndian.Uint64(d), binary.LittleEndian.Uint32(d[8:])
		flags, next := binary.LittleEndian.Uint16(d[12:]), int(binary.LittleEndian.Uint16(d[14:]))
		if flags&vhosttest.Indirect != 0 {
			if indirect || flags&vhosttest.Next != 0 || n == 0 || n%descSize != 0 || !g.flat(addr, n) {
				return places, false
			}
			table, at, indirect = g.bytes[g.at(addr):][:n], 0, true
			left = len(table)/descSize + 1 // without this one
			continue
		}
		if flags&vhosttest.Write == 0 || n == 0 || flags&vhosttest.Next != 0 && next >= len(table)/descSize {
			return places, false
		}
		for i := range uint64(n) {
			place := g.at(addr + i)
			if place < 0 {
				return places, false
			}
			if places = append(places, place); len(places) == limit {
				return places, true
			}
		}
		if flags&vhosttest.Next == 0 {
			return places, true
		}
		at = next
	}
	return places, false
}

// inside says where in the memory p is; false: it is not in one of its regions.
func (g *fuzzGuest) inside(p []byte) (int, bool) {
	at := int(uintptr(unsafe.Pointer(&p[0])) - uintptr(unsafe.Pointer(&g.bytes[0])))
	for _, r := range fuzzRegions {
		if at >= r.at && at < r.at+r.size {
			return at, at+len(p) <= r.at+r.size
		}
	}
	return at, false
}
