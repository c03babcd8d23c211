package vchan

import (
	"errors"
	"testing"
	"unsafe"

	"headgate/xen/grant"
)

func TestChooseLayout(t *testing.T) {
	for _, c := range []struct {
		left, right int
		want        layout
	}{
		{0, 0, layout{11, 10}},
		{1024, 1024, layout{11, 10}},
		{100, 1500, layout{10, 11}},
		{1500, 100, layout{11, 10}},
		{1500, 1500, layout{11, 12}},
		{2049, 1, layout{12, 10}},
		{65536, 65536, layout{16, 16}},
		{65537, 0, layout{17, 10}},
		{1 << 20, 0, layout{20, 11}}, // 256 grants reach beyond 1024
		{0, 1 << 20, layout{11, 20}},
		{1 << 20, 1 << 20, layout{20, 20}},
	} {
		got, err := chooseLayout(c.left, c.right)
		if err != nil || got != c.want || !got.valid() {
			t.Errorf("%d, %d: %v, %v; want %v", c.left, c.right, got, err, c.want)
		}
	}
	if _, err := chooseLayout(0, 1<<20+1); err == nil {
		t.Error("a ring of more than 1 MiB")
	}
}

// No two of header, grants and rings share a byte, in every layout that is valid,
// and what is refused is refused for a reason.
func TestLayoutsOverlapNowhere(t *testing.T) {
	valid, orders := 0, []uint16{0, 9, 10, 11, 12, 13, 14, 20, 21, 32, 0xffff}
	for _, left := range orders {
		for _, right := range orders {
			l := layout{left, right}
			if !l.valid() {
				continue
			}
			valid++
			page := make([]byte, grant.PageSize)
			own := make([]byte, (pagesOf(left)+pagesOf(right))*grant.PageSize)
			for i := range atGrants + 4*len(own)/grant.PageSize {
				page[i]++
			}
			lbuf, rbuf := l.buffers(page, own)
			for _, ring := range [][]byte{lbuf, rbuf} {
				for i := range ring {
					ring[i]++
				}
			}
			if len(lbuf) != 1<<left || len(rbuf) != 1<<right {
				t.Fatalf("%v: %d and %d bytes", l, len(lbuf), len(rbuf))
			}
			for i, n := range append(page, own...) {
				if n > 1 {
					t.Fatalf("%v: byte %d has %d uses", l, i, n)
				}
			}
		}
	}
	// Six orders each; not 10+10, 11+11, and not 10 beside order 20, either way.
	if valid != 6*6-4 {
		t.Errorf("%d layouts are valid", valid)
	}
}

// FuzzAccept gives a client any page: what it takes lies in the bounds.
func FuzzAccept(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 0, 11, 0, 2, 1, 1, 0, 7})
	f.Add([]byte{16: 20, 18: 20})
	f.Fuzz(func(t *testing.T, b []byte) {
		words := make([]uint32, grant.PageSize/4)
		mem := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), grant.PageSize)
		copy(mem, b)
		l, refs, err := pageOf(mem).accept()
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		own := make([]byte, len(refs)*grant.PageSize)
		left, right := l.buffers(mem, own)
		if len(refs) > 512 || len(left) != 1<<l.left || len(right) != 1<<l.right {
			t.Fatalf("%v: %d grants", l, len(refs))
		}
		in, out := right, left
		c, err := newConn(clientRole, pageOf(mem), in, out, nil, nil)
		if err == nil && (c.in.filled() > uint32(len(in)) || c.out.room() > uint32(len(out))) {
			t.Fatalf("%+v %+v", c.in, c.out)
		}
	})
}

func TestOfferedPage(t *testing.T) {
	v := offered(t, 1<<13, 0)
	// The words as xen/io/libxenvchan.h has them on a little-endian machine.
	want := []uint32{0, 0, 0, 0, 13 | 10<<16, 0x00010102, 1000, 1001, 0}
	for i, w := range want {
		if got := v.page.load(4 * i); got != w {
			t.Errorf("word at %d: %#x, want %#x", 4*i, got, w)
		}
	}
	v.connect(t)
	if got := v.page.flags(); got != 0x01010101 {
		t.Errorf("flags %#x", got)
	}
}
