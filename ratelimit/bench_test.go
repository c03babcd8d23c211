package ratelimit

import (
	"fmt"
	"testing"
)

// sea never runs dry and costs nothing.
type sea struct{}

func (sea) Take(p []byte, _ int) int { return len(p) }
func (sea) Level() int               { return 1 << 30 }

// A grant in plenty, each goroutine with its own tap: no shared lock.
func BenchmarkGrantInPlenty(b *testing.B) {
	s := NewScheduler(sea{}, Options{BootReserve: 8192, Plenty: 8192})
	b.ReportAllocs()
	b.SetBytes(Quantum)
	b.RunParallel(func(pb *testing.PB) {
		tap, p := s.NewTap(Limits{Rate: 1e12, Burst: 1 << 30, Weight: 1}), make([]byte, Quantum)
		for pb.Next() {
			tap.TryRead(p)
		}
	})
}

// A turn of the order with n flows that wait all the time.
func BenchmarkTurnInShortage(b *testing.B) {
	for _, n := range []int{10, 1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var o order
			o.begin()
			for i := range n {
				o.join(o.newFlow(1+i%4), Quantum, false)
			}
			b.ReportAllocs()
			for b.Loop() {
				f := o.next()
				o.serve(f, Quantum)
				o.join(f, Quantum, false)
			}
		})
	}
}
