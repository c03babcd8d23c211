package egd

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// TestDebtAgainstList holds the ring to a list that keeps every request.
func TestDebtAgainstList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var d debt
		var list []answer // every byte of an OpRead apart
		runs := func() (n int) {
			for i, a := range list {
				if a.op != OpRead || i == 0 || list[i-1].op != OpRead {
					n++
				}
			}
			return n
		}
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			if rapid.IntRange(0, 2).Draw(t, "pay") == 0 {
				if d.empty() != (len(list) == 0) {
					t.Fatalf("empty is %v with %d owed", d.empty(), len(list))
				}
				if d.empty() {
					continue
				}
				a := d.first()
				if a.op != list[0].op || (a.op != OpRead && a.n != list[0].n) {
					t.Fatalf("%v is due, want %v", a, list[0])
				}
				n := 1
				if a.op == OpRead {
					n = rapid.IntRange(1, int(a.n)).Draw(t, "n")
					d.pay(n)
				} else {
					d.done()
				}
				for range n {
					if list[0].op != a.op {
						t.Fatal("paid more than was owed")
					}
					list = list[1:]
				}
				continue
			}
			op := rapid.SampledFrom([]byte{OpLevel, OpReadNonblock, OpRead, OpRead, OpPID}).Draw(t, "op")
			n := rapid.IntRange(0, 5).Draw(t, "n")
			room := runs() < depth || op == OpRead && (n == 0 || list[len(list)-1].op == OpRead)
			if ok := d.add(op, uint32(n)); ok != room {
				t.Fatalf("add(%d, %d) is %v with %d runs owed", op, n, ok, runs())
			}
			switch {
			case room && op == OpRead:
				for range n {
					list = append(list, answer{op: op})
				}
			case room:
				list = append(list, answer{op: op, n: uint32(n)})
			}
		}
	})
}

func TestDebtBeyond32Bits(t *testing.T) {
	var d debt
	for range depth {
		if !d.add(OpRead, math.MaxUint32) {
			t.Fatal("no room")
		}
	}
	if d.add(OpRead, 1) {
		t.Error("owes more than it can count")
	}
	for range depth {
		if n := d.first().n; n != math.MaxUint32 {
			t.Fatalf("%d bytes are due", n)
		}
		d.pay(math.MaxUint32)
	}
	if !d.empty() {
		t.Error("still owes")
	}
}
