package virtq

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"headgate/kvm/vhost/vhosttest"
)

// whole is some memory that begins at a word.
func whole(n int) []byte { return make([]byte, max(n, 64))[:n] }

func TestTablesThatAreRefused(t *testing.T) {
	page := whole(4096)
	many := make([]Region, MaxRegions+1)
	for i := range many {
		many[i] = Region{Guest: uint64(i) << 20, User: uint64(i) << 30, Bytes: page}
	}
	if _, err := NewMemory(many[:MaxRegions]); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		say     string
		regions []Region
	}{
		{"0 regions", nil},
		{"9 regions", many},
		{"empty", []Region{{Guest: 1, User: 4}}},
		{"last address", []Region{{Guest: math.MaxUint64 - 4094, Bytes: page}}},
		{"last address", []Region{{User: math.MaxUint64 - 3, Bytes: page}}},
		{"whole pages", []Region{{User: 2, Bytes: page}}},
		{"whole pages", []Region{{Bytes: page[:4094]}}},
		{"whole pages", []Region{{Bytes: page[1:4093]}}},
		{"overlap", []Region{{Guest: 0, User: 0, Bytes: page}, {Guest: 4095, User: 1 << 20, Bytes: page}}},
		{"overlap", []Region{{Guest: 4095, User: 0, Bytes: page}, {Guest: 0, User: 1 << 20, Bytes: page}}},
		{"overlap", []Region{{Guest: 0, User: 0, Bytes: page}, {Guest: 1 << 20, User: 4092, Bytes: page}}},
		{"overlap", []Region{{Guest: 0, User: 0, Bytes: page}, {Guest: 0, User: 1 << 20, Bytes: page}}},
		{"overlap", []Region{many[3], many[1], many[2], {Guest: 1<<20 + 1, User: 1 << 50, Bytes: page[:4]}}},
	} {
		if _, err := NewMemory(c.regions); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%v, want %q", err, c.say)
		}
	}
	for _, ok := range [][]Region{
		{{Guest: math.MaxUint64 - 4096, User: math.MaxUint64 - 4096 - 3, Bytes: page}},
		{{Guest: 4096, User: 0, Bytes: page}, {Guest: 0, User: 4096, Bytes: page}},
	} {
		if _, err := NewMemory(ok); err != nil {
			t.Errorf("%v", err)
		}
	}
}

// NewMemory leaves the caller's table as it is.
func TestATableIsNotReordered(t *testing.T) {
	page := whole(4096)
	regions := []Region{{Guest: 8192, User: 0, Bytes: page}, {Guest: 0, User: 8192, Bytes: page}}
	if _, err := NewMemory(regions); err != nil || regions[0].Guest != 8192 {
		t.Errorf("%+v, %v", regions[0], err)
	}
}

// A buffer may go from one region into the next; a table, which is read where it is,
// may not.
func TestBuffersAcrossRegions(t *testing.T) {
	r := newRig(t, 4, false, 0)
	b := r.Memory.Bytes
	const half = dataAt + 4096
	regions := []Region{ // the same memory in three parts, of which the last is elsewhere in the guest
		{Guest: vhosttest.GuestBase + half, User: 1 << 20, Bytes: b[half : half+4096]},
		{Guest: vhosttest.GuestBase, User: vhosttest.UserBase, Bytes: b[:half]},
		{Guest: 1 << 40, User: 1 << 21, Bytes: b[half+4096:]},
	}
	m, err := NewMemory(regions)
	if err != nil {
		t.Fatal(err)
	}
	if r.queue, err = New(m, r.layout(0)); err != nil {
		t.Fatal(err)
	}
	r.post(buffer(half-10, 30), vhosttest.Desc{Addr: 1 << 40, Len: 5, Flags: vhosttest.Write})
	r.next()
	want := [][2]int{{half - 10, 10}, {half, 20}, {half + 4096, 5}}
	if got := r.pieces(); !slices.Equal(got, want) {
		t.Errorf("pieces %v, want %v", got, want)
	}
	r.queue.Done(35)
	r.post(buffer(half+4090, 7)) // there is nothing behind the second
	r.next()
	if p, err := r.queue.Buffer(); len(p) != 6 || err != nil {
		t.Errorf("%d bytes, %v", len(p), err)
	}
	if _, err := r.queue.Buffer(); !errors.Is(err, errAddress) {
		t.Errorf("%v", err)
	}
	r.queue.Done(0)
	r.post(r.table(half-16, buffer(dataAt, 1), buffer(dataAt, 1)))
	r.next()
	if _, err := r.queue.Buffer(); !errors.Is(err, errAddress) {
		t.Errorf("%v", err)
	}
}
