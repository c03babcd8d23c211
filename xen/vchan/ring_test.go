package vchan

import (
	"bytes"
	"errors"
	"testing"
)

// naive is a ring of unbounded memory: what was written and not yet read.
type naive struct{ bytes []byte }

// FuzzRing has the two ends of one ring put and take by a script, over shared bytes,
// against the naive one; indices start anywhere, so that they wrap.
func FuzzRing(f *testing.F) {
	f.Add(uint32(0), []byte{1, 200, 2, 100, 1, 255, 1, 255, 1, 255, 1, 255, 1, 255, 2, 255, 1, 9})
	f.Add(^uint32(0)-5, []byte{1, 7, 2, 3, 1, 255, 2, 255, 3, 1, 4, 255})
	f.Fuzz(func(t *testing.T, start uint32, script []byte) {
		buf := make([]byte, 1024)
		in := inbound{buf: buf, cons: start, prod: start}
		out := outbound{buf: buf, prod: start, cons: start}
		var want naive
		next := byte(1)
		for ; len(script) >= 2; script = script[2:] {
			n := int(script[1]) * 5
			switch script[0] % 4 {
			case 0, 1:
				must(t, out.see(in.cons))
				p := make([]byte, n)
				for i := range p {
					p[i] = next | 1
					next += 2
				}
				room := len(buf) - len(want.bytes)
				if got := out.put(p); got != min(n, room) {
					t.Fatalf("put %d of %d where there is room for %d", got, n, room)
				}
				want.bytes = append(want.bytes, p[:min(n, room)]...)
			case 2:
				must(t, in.see(out.prod))
				p := make([]byte, n)
				got := in.take(p)
				if got != min(n, len(want.bytes)) || !bytes.Equal(p[:got], want.bytes[:got]) {
					t.Fatalf("took %d of %d", got, len(want.bytes))
				}
				want.bytes = want.bytes[got:]
			case 3: // what no peer may do changes nothing
				before, other := in, out
				bad := out.prod + 1 + uint32(n)
				if got := in.see(bad); (got != nil) != (bad-in.cons > 1024) {
					t.Fatalf("prod %d with cons %d: %v", bad, in.cons, got)
				} else if got != nil && in.prod != before.prod {
					t.Fatal("a wrong index was taken over")
				}
				in = before
				if err := out.see(out.cons - 1 - uint32(n)); !errors.Is(err, ErrCorrupt) {
					t.Fatalf("cons went back: %v", err)
				}
				if err := out.see(out.prod + 1 + uint32(n)); !errors.Is(err, ErrCorrupt) {
					t.Fatalf("cons overtook prod: %v", err)
				}
				if out.cons != other.cons {
					t.Fatal("a wrong index was taken over")
				}
			}
			// Whatever is not waiting to be read is zero.
			filled := 0
			for _, b := range buf {
				if b != 0 {
					filled++
				}
			}
			if filled != len(want.bytes) {
				t.Fatalf("%d bytes in the shared memory, %d wait", filled, len(want.bytes))
			}
		}
		must(t, in.see(out.prod))
		in.forget()
		if !bytes.Equal(buf, make([]byte, 1024)) {
			t.Fatal("not all was forgotten")
		}
	})
}

// FuzzHostileIndex has the peer say anything at all.
func FuzzHostileIndex(f *testing.F) {
	f.Add(uint32(10), uint32(20), uint32(1034), uint32(1035))
	f.Add(^uint32(0), uint32(3), uint32(2), ^uint32(0)-1)
	f.Fuzz(func(t *testing.T, cons, prod, first, second uint32) {
		if prod-cons > 1024 {
			return
		}
		in := inbound{buf: make([]byte, 1024), cons: cons, prod: prod}
		out := outbound{buf: make([]byte, 1024), cons: cons, prod: prod}
		for _, index := range []uint32{first, second} {
			had, err := in.filled(), in.see(index)
			if in.filled() > 1024 || in.filled() < had || (err == nil) != (in.prod == index) {
				t.Fatalf("index %d: %v, %+v", index, err, in)
			}
			had, err = out.room(), out.see(index)
			if out.room() > 1024 || out.room() < had || (err == nil) != (out.cons == index) {
				t.Fatalf("index %d: %v, %+v", index, err, out)
			}
		}
		in.take(make([]byte, 2000))
		out.put(make([]byte, 2000))
		if in.filled() != 0 || out.room() != 0 {
			t.Fatal("took or put less than there was")
		}
	})
}
