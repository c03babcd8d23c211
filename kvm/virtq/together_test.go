package virtq

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A driver and a device that never tell each other more than they must do not lose
// each other.
func TestKicksAndCallsAreEnough(t *testing.T) {
	requests := 10000
	if testing.Short() {
		requests = 3000
	}
	for _, eventIdx := range []bool{false, true} {
		for _, size := range []uint16{1, 4, 16} {
			r := newRig(t, size, eventIdx, 65000)
			kick, call, end := make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{})
			device := make(chan error, 1)
			go func() { device <- r.device(kick, call, end) }()
			for posted, taken := 0, 0; taken < requests; {
				for n := 1 + rand.IntN(int(size)); n > 0 && posted-taken < int(size) && posted < requests; n-- {
					r.post(buffer(dataAt, 64))
					posted++
				}
				if r.MustKick() {
					signal(kick)
				}
				for {
					r.Await()
					_, _, ok, err := r.Take()
					if err != nil {
						t.Fatal(err)
					}
					if ok {
						taken++
						break
					}
					select {
					case <-call:
					case err := <-device:
						t.Fatalf("the device ended: %v", err)
					case <-time.After(10 * time.Second):
						t.Fatalf("size %d, events %v: %d posted, %d taken, and nobody is told", size, eventIdx, posted, taken)
					}
				}
			}
			close(end)
			if err := <-device; err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A driver that posts at the very moment at which the device goes to rest either kicks,
// or is seen. (Without the fence in Rest this fails within some ten thousand rounds,
// where there are two processors.)
func TestRestBesideAKick(t *testing.T) {
	r := newRig(t, 4, true, 0)
	var driver, device atomic.Int64 // the round that each is in
	meet := func(own, other *atomic.Int64) {
		for n := own.Add(1); other.Load() < n; {
			runtime.Gosched()
		}
	}
	const rounds = 100_000
	end := time.Now().Add(300 * time.Millisecond)
	var seen, over atomic.Bool
	var served sync.WaitGroup
	served.Go(func() {
		for {
			meet(&device, &driver)
			if over.Load() {
				return
			}
			seen.Store(r.queue.Rest())
			meet(&device, &driver)
			if ok, err := r.queue.Next(); !ok || err != nil {
				t.Errorf("what was posted is not there: %v", err)
			}
			r.queue.Done(1)
			meet(&device, &driver)
		}
	})
	round := 0
	for ; round < rounds && time.Now().Before(end); round++ {
		meet(&driver, &device)
		r.post(buffer(dataAt, 64))
		kicks := r.MustKick()
		meet(&driver, &device)
		if !kicks && !seen.Load() {
			t.Errorf("round %d: nobody is told", round)
		}
		meet(&driver, &device)
		r.took(r.last(), 1)
		if t.Failed() {
			break
		}
	}
	over.Store(true)
	meet(&driver, &device)
	served.Wait()
	t.Logf("%d rounds", round)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// device answers requests until end, and looks again only when it is kicked.
func (r *rig) device(kick, call, end chan struct{}) error {
	for {
		for {
			ok, err := r.queue.Next()
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			if r.queue.Done(1) {
				signal(call)
			}
		}
		if r.queue.Rest() {
			continue
		}
		select {
		case <-kick:
		case <-end:
			return nil
		}
	}
}
