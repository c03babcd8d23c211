package vhost

import (
	"encoding/binary"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"headgate/kvm/vhost/vhosttest"
	"headgate/wire/wiretest"
)

// BenchmarkRequest has a front end make 64-byte requests of a device in this process,
// and two goroutines signal each other by two eventfds, in turns: the floor of a round
// trip, for which each side does nothing but that. It reports the median ratio of the
// two rates, and the median time of a request.
func BenchmarkRequest(b *testing.B) {
	const rounds = 11
	r := start(b, new(wiretest.Endless), vhosttest.Options{EventIdx: true})
	floor := newPingPong(b)
	ctx := b.Context()
	var p [64]byte
	request := func() {
		if n, err := r.Read(ctx, p[:]); n != len(p) || err != nil {
			b.Fatalf("%d bytes, %v", n, err)
		}
	}
	each := max(b.N/rounds, 1)
	var ratios, times []float64
	b.ReportAllocs()
	b.ResetTimer()
	for round := range rounds {
		var took [2]time.Duration
		for i := range took {
			which := (round + i) % 2 // neither is always first
			begin := time.Now()
			for range each {
				if which == 0 {
					request()
				} else {
					floor.round()
				}
			}
			took[which] = time.Since(begin)
		}
		ratios = append(ratios, float64(took[1])/float64(took[0]))
		times = append(times, float64(took[0].Nanoseconds())/float64(each))
	}
	b.StopTimer()
	slices.Sort(ratios)
	slices.Sort(times)
	b.ReportMetric(ratios[rounds/2], "×floor")
	b.ReportMetric(times[rounds/2], "ns/req")
	b.ReportMetric(0, "ns/op") // of both together: says nothing
}

// pingPong is two goroutines that wait for each other.
type pingPong struct {
	b         *testing.B
	there     int
	back      *os.File
	lastCount [8]byte
}

func newPingPong(b *testing.B) *pingPong {
	open := func() (int, *os.File) {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		if err != nil {
			b.Fatal(err)
		}
		return fd, os.NewFile(uintptr(fd), "eventfd")
	}
	there, thereFile := open()
	back, backFile := open()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var count, one [8]byte
		binary.NativeEndian.PutUint64(one[:], 1)
		for {
			if _, err := thereFile.Read(count[:]); err != nil {
				return
			}
			_, _ = unix.Write(back, one[:])
		}
	}()
	b.Cleanup(func() { thereFile.Close(); <-ended; backFile.Close() })
	return &pingPong{b: b, there: there, back: backFile}
}

func (p *pingPong) round() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	if _, err := unix.Write(p.there, one[:]); err != nil {
		p.b.Fatal(err)
	}
	if _, err := p.back.Read(p.lastCount[:]); err != nil {
		p.b.Fatal(err)
	}
}

// What a request costs the garbage collector: nothing, at either end.
func TestNoAllocations(t *testing.T) {
	if raced {
		t.Skip("the race detector allocates")
	}
	r := start(t, new(wiretest.Endless), vhosttest.Options{EventIdx: true})
	ctx := within(t)
	var p [64]byte
	if allocs := testing.AllocsPerRun(1000, func() {
		if n, err := r.Read(ctx, p[:]); n != len(p) || err != nil {
			t.Fatalf("%d bytes, %v", n, err)
		}
	}); allocs != 0 {
		t.Errorf("%v allocations a request", allocs)
	}
}
