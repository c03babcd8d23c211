package virtq

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"unsafe"
)

// MaxRegions is how many regions a table may have: what a front end may send at
// once (VHOST_MEMORY_BASELINE_NREGIONS, QEMU's hw/virtio/vhost-user.c).
const MaxRegions = 8

// Region is a stretch of a guest's memory.
type Region struct {
	Guest uint64 // address that descriptors have
	User  uint64 // address that the front end says where the rings are with
	Bytes []byte // the memory itself, as it is mapped here
}

// Memory is the table of all memory that a guest shares.
type Memory struct{ regions []Region }

// NewMemory makes a table. It refuses one with regions that are empty, wrap around
// or overlap, or that are not mapped in whole words.
func NewMemory(regions []Region) (*Memory, error) {
	if len(regions) == 0 || len(regions) > MaxRegions {
		return nil, fmt.Errorf("memory table: it has %d regions, 1 to %d are possible", len(regions), MaxRegions)
	}
	for _, r := range regions {
		if err := r.check(); err != nil {
			return nil, fmt.Errorf("memory table: region at %#x: %w", r.Guest, err)
		}
	}
	for _, start := range []func(Region) uint64{func(r Region) uint64 { return r.User }, func(r Region) uint64 { return r.Guest }} {
		regions = slices.SortedFunc(slices.Values(regions), func(a, b Region) int { return cmp.Compare(start(a), start(b)) })
		for i, r := range regions[1:] {
			if before := regions[i]; start(r)-start(before) < uint64(len(before.Bytes)) {
				return nil, fmt.Errorf("memory table: the regions at %#x and %#x overlap", before.Guest, r.Guest)
			}
		}
	}
	return &Memory{regions}, nil
}

func (r Region) check() error {
	n := uint64(len(r.Bytes))
	switch {
	case n == 0:
		return errors.New("it is empty")
	case r.Guest > math.MaxUint64-n || r.User > math.MaxUint64-n:
		return errors.New("it goes beyond the last address")
	case n%word != 0 || r.User%word != 0 || uintptr(unsafe.Pointer(&r.Bytes[0]))%word != 0:
		return errors.New("it does not consist of whole pages")
	}
	return nil
}

// guest is the memory at a guest's address, n bytes of it or as much as is in one
// region; nothing: there is none.
func (m *Memory) guest(addr uint64, n uint32) []byte {
	for i := range m.regions {
		if r := &m.regions[i]; addr-r.Guest < uint64(len(r.Bytes)) {
			rest := r.Bytes[addr-r.Guest:]
			return rest[:min(uint64(n), uint64(len(rest)))]
		}
	}
	return nil
}

// user is the n bytes at an address of the front end's; nil: they are not all in one
// region.
func (m *Memory) user(addr uint64, n int) []byte {
	for i := range m.regions {
		if r := &m.regions[i]; addr-r.User < uint64(len(r.Bytes)) {
			rest := r.Bytes[addr-r.User:]
			if n > len(rest) {
				return nil
			}
			return rest[:n:n]
		}
	}
	return nil
}
