package egd

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"headgate/wire"
	"headgate/wire/wiretest"
)

// TestNoAllocations counts both ends of a request answered by the reader, and
// the server's end of one left to the writer.
func TestNoAllocations(t *testing.T) {
	for name, tap := range map[string]wire.Tap{"reader": new(wiretest.Endless), "writer": new(slow)} {
		p := dial(t, &Server{Tap: tap})
		buf := make([]byte, 64)
		allocs := testing.AllocsPerRun(1000, func() {
			if _, err := p.client.Read(buf); err != nil {
				t.Fatal(err)
			}
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations a request, want 0", name, allocs)
		}
		p.close()
	}
}

// slow is a tap that has nothing at once and everything a moment later.
type slow struct{ wiretest.Endless }

func (*slow) TryRead([]byte) int { return 0 }

func (s *slow) ReadContext(_ context.Context, p []byte) (int, error) {
	return s.Endless.TryRead(p), nil
}

// BenchmarkServer64 has 100 clients make 64-byte requests to the Server on a
// tap that never runs dry and to a server that answers from a fixed buffer, in
// turns, and reports the median ratio of the two rates.
func BenchmarkServer64(b *testing.B) {
	const clients, rounds = 100, 11
	s := &Server{Tap: new(wiretest.Endless), Count: new(Counters)}
	ours := listen(b, clients, func(c net.Conn) { _ = s.Serve(b.Context(), c) })
	fixed := listen(b, clients, fixedServer)
	var ratios, rates []float64
	each := max(b.N/clients/rounds, 1)
	b.ReportAllocs()
	b.ResetTimer()
	for round := range rounds {
		var rate [2]float64
		for i := range rate {
			turn := (round + i) % 2 // neither is always first
			rate[turn] = float64(clients*each) / run(b, [][]*Client{ours, fixed}[turn], each).Seconds()
		}
		ratios = append(ratios, rate[0]/rate[1])
		rates = append(rates, rate[0])
	}
	b.StopTimer()
	b.ReportMetric(median(ratios), "×fixed")
	b.ReportMetric(median(rates), "req/s")
	b.ReportMetric(0, "ns/op") // of both together: says nothing
}

// run has every client make n requests and returns how long all took.
func run(b *testing.B, clients []*Client, n int) time.Duration {
	var wg sync.WaitGroup
	var failed atomic.Bool
	begin := time.Now()
	for _, c := range clients {
		wg.Go(func() {
			var buf [64]byte
			for range n {
				if _, err := c.Read(buf[:]); err != nil {
					failed.Store(true)
					return
				}
			}
		})
	}
	wg.Wait()
	if failed.Load() {
		b.Fatal("a client failed")
	}
	return time.Since(begin)
}

// fixedServer is the floor: no parsing, no tap, no state.
func fixedServer(c net.Conn) {
	defer c.Close()
	var in [256]byte
	var out [255]byte
	for {
		n, err := c.Read(in[:])
		if err != nil || n < 2 {
			return
		}
		if _, err := c.Write(out[:in[1]]); err != nil {
			return
		}
	}
}

// listen connects n clients to a server on a unix socket of its own.
func listen(b *testing.B, n int, serve func(net.Conn)) (clients []*Client) {
	path := filepath.Join(b.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		b.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				if !errors.Is(err, net.ErrClosed) {
					b.Error(err)
				}
				return
			}
			wg.Go(func() { serve(c) })
		}
	})
	var conns []net.Conn
	b.Cleanup(func() {
		_ = l.Close()
		for _, c := range conns {
			_ = c.Close()
		}
		wg.Wait()
	})
	for range n {
		c, err := net.Dial("unix", path)
		if err != nil {
			b.Fatal(err)
		}
		conns = append(conns, c)
		clients = append(clients, NewClient(c))
	}
	return clients
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}
