package quality

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"headgate/ratelimit"
)

// endless is a supply that never runs dry and shares nothing that a bench would see.
type endless struct{ n atomic.Uint64 }

func (e *endless) Take(p []byte, _ int) int {
	n := e.n.Add(1)
	for i := range p {
		p[i] = byte(n >> (8 * (i % 8)))
	}
	return len(p)
}

func (*endless) Level() int { return 1 << 30 }

func benched() *ratelimit.Scheduler {
	return ratelimit.NewScheduler(new(endless), ratelimit.Options{BootReserve: 8192, Plenty: 8192})
}

// One guest of quality "drbg", whole way: its rate, its buffer, its DRBG, its reseeds
// at the default of 1 MiB. MB/cpu-s is what a processor of its own would give.
func BenchmarkOneGuest(b *testing.B) {
	for _, size := range []int{64, 512, 4096, 65536} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			t := New(Options{Name: "web1", Scheduler: benched()}, Config{Quality: DRBG})
			defer t.Close()
			p := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			before := processorTime(b)
			for b.Loop() {
				if t.TryRead(p) != size {
					b.Fatal("short")
				}
			}
			used := (processorTime(b) - before).Seconds()
			b.ReportMetric(float64(b.N)*float64(size)/1e6/used, "MB/cpu-s")
		})
	}
}

// 1,000 guests that read without pause, on all processors, each of which has guests of
// its own: run with -cpu 1,2 and with -mutexprofile, which has to show no lock. Where
// others use the processors, too, look at cpu-ns/op, which must not rise with -cpu.
func BenchmarkThousandGuests(b *testing.B) {
	for _, size := range []int{64, 4096} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s := benched()
			guests := make([]*Tap, 1000)
			for i := range guests {
				guests[i] = New(Options{Name: fmt.Sprint(i), Scheduler: s}, Config{Quality: DRBG})
				defer guests[i].Close()
			}
			var lanes atomic.Int64
			b.SetBytes(int64(size))
			b.ReportAllocs()
			b.ResetTimer()
			before := processorTime(b)
			b.RunParallel(func(pb *testing.PB) {
				lane, p := int(lanes.Add(1))-1, make([]byte, size)
				own := guests[lane*len(guests)/runtime.GOMAXPROCS(0):][:len(guests)/runtime.GOMAXPROCS(0)]
				for i := 0; pb.Next(); i++ {
					if own[i%len(own)].TryRead(p) != size {
						b.Error("short")
						return
					}
				}
			})
			b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

func processorTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
