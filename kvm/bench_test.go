package kvm

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"headgate/ratelimit"
	"headgate/wire/egd"
)

// sea is a supply that never runs dry.
type sea struct{}

func (sea) Take(p []byte, _ int) int { return len(p) }
func (sea) Level() int               { return 1 << 30 }

// BenchmarkRequests64 has 100 guests make 64-byte EGD requests, each to a pipe and
// a tap of its own over a supply that never runs dry, and to a server that answers
// from a fixed buffer, in turns. It reports the median ratio of the two rates.
func BenchmarkRequests64(b *testing.B) {
	const clients, rounds = 100, 11
	dir := b.TempDir()
	ours, fixed := pipes(b, dir, clients), connect(b, fixedServer(b, filepath.Join(dir, "fixed")), clients)
	var ratios, rates []float64
	each := max(b.N/clients/rounds, 1)
	b.ReportAllocs()
	b.ResetTimer()
	for round := range rounds {
		var rate [2]float64
		for i := range rate {
			turn := (round + i) % 2 // neither is always first
			rate[turn] = float64(clients*each) / ask(b, [][]*egd.Client{ours, fixed}[turn], each).Seconds()
		}
		ratios = append(ratios, rate[0]/rate[1])
		rates = append(rates, rate[0])
	}
	b.StopTimer()
	b.ReportMetric(median(ratios), "×fixed")
	b.ReportMetric(median(rates), "req/s")
	b.ReportMetric(0, "ns/op") // of both together: says nothing
}

// pipes makes n guests' pipes and a client of each.
func pipes(b *testing.B, dir string, n int) (clients []*egd.Client) {
	scheduler := ratelimit.NewScheduler(sea{}, ratelimit.Options{BootReserve: 8192, Plenty: 8192})
	ctx, cancel := context.WithCancel(context.Background())
	var tasks sync.WaitGroup
	b.Cleanup(func() { cancel(); tasks.Wait() })
	for i := range n {
		path := filepath.Join(dir, strconv.Itoa(i))
		pipe, err := Open(Options{
			Kind:   EGD,
			Socket: Socket{Path: path, UID: -1, GID: -1},
			Tap:    scheduler.NewTap(ratelimit.Limits{Rate: 1e12, Burst: 1 << 30, Weight: 1}),
		})
		if err != nil {
			b.Fatal(err)
		}
		tasks.Go(func() { _ = pipe.Run(ctx) })
		clients = append(clients, connect(b, path, 1)...)
	}
	return clients
}

func connect(b *testing.B, path string, n int) (clients []*egd.Client) {
	for range n {
		c, err := net.Dial("unix", path)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { c.Close() })
		clients = append(clients, egd.NewClient(c))
	}
	return clients
}

// fixedServer is the floor: no parsing, no tap, no state.
func fixedServer(b *testing.B, path string) string {
	l, err := net.Listen("unix", path)
	if err != nil {
		b.Fatal(err)
	}
	var tasks sync.WaitGroup
	b.Cleanup(func() { l.Close(); tasks.Wait() })
	tasks.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				if !errors.Is(err, net.ErrClosed) {
					b.Error(err)
				}
				return
			}
			tasks.Go(func() { answerFixed(c) })
		}
	})
	return path
}

func answerFixed(c net.Conn) {
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

// ask has every client make n requests and returns how long all took.
func ask(b *testing.B, clients []*egd.Client, n int) time.Duration {
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

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}
