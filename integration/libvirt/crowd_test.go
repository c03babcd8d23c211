//go:build linux

package libvirt

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"headgate/hostd/control"
	"headgate/integration/rig"
)

// crowd are greedy EGD clients, each a guest of its own.
type crowd struct {
	mu    sync.Mutex
	turns []time.Duration // from a request to its answer
	last  time.Time       // when anybody was answered
}

// letLoose has all of the crowd ask without pause until the test ends.
func (h *host) letLoose(ctx context.Context, t *testing.T) *crowd {
	t.Helper()
	c := &crowd{}
	ctx, stop := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	t.Cleanup(func() { stop(); tasks.Wait() })
	for i := range crowdSize {
		conn, err := net.Dial("unix", crowdSocket(i))
		if err != nil {
			t.Fatal(err)
		}
		context.AfterFunc(ctx, func() { conn.Close() })
		tasks.Go(func() {
			stream := h.seen.Stream(fmt.Sprintf("crowd%d", i))
			buf := make([]byte, 64)
			for {
				begun := time.Now()
				if _, err := conn.Write([]byte{2, byte(len(buf))}); err != nil {
					return
				}
				if _, err := io.ReadFull(conn, buf); err != nil {
					return
				}
				stream.Add(buf)
				c.mu.Lock()
				c.last = time.Now()
				c.turns = append(c.turns, c.last.Sub(begun))
				c.mu.Unlock()
			}
		})
	}
	return c
}

// idle is how long nobody was answered.
func (c *crowd) idle() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Since(c.last)
}

// forget drops the turns so far.
func (c *crowd) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turns = nil
}

// turn is the median of the turns since forget.
func (c *crowd) turn(t *testing.T) time.Duration {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.turns) == 0 {
		t.Fatal("none of the crowd was answered")
	}
	slices.Sort(c.turns)
	return c.turns[len(c.turns)/2]
}

// drained waits until there is no more in the reservoir than what is kept for
// guests that have had nothing yet.
func (h *host) drained(ctx context.Context, t *testing.T) {
	t.Helper()
	for begun := time.Now(); ; rig.Pause(ctx, t, 100*time.Millisecond) {
		s := h.status(ctx, t)
		if above := s.Reservoir.Level - s.Reservoir.BootReserve; above > -128 && above < 1024 {
			return
		}
		if time.Since(begun) > 30*time.Second {
			t.Fatalf("the reservoir has %d bytes after 30 s", s.Reservoir.Level)
		}
	}
}

// supply changes the supply for the rest of the test.
func (h *host) supply(t *testing.T, rate float64) {
	h.noise.SetRate(raw(rate))
	t.Cleanup(func() { h.noise.SetRate(raw(ample)) })
}

// raw is the rate at which the noise has to come, if 8 bits a byte were claimed.
func raw(rate float64) float64 { return rate * 8 / claim }

func inSeconds(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second)).Round(time.Microsecond)
}

func connected(g control.GuestStatus) bool { return len(g.Pipes) == 1 && g.Pipes[0].Connected }
