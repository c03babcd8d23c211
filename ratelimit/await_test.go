package ratelimit

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// Await sets aside what TryRead then gives, out of the tap's share, and leaves no trace
// in what readers waited.
func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		supply, s := setup(0, Options{})
		tap := s.NewTap(one)
		done := make(chan bool)
		go func() { done <- tap.Await(nil, 48) }()
		time.Sleep(time.Second)
		if st := tap.Stats(); st.Waiting || st.SupplyThrottled != 0 {
			t.Errorf("a wait that is nobody's is told: %+v", st)
		}
		supply.add(100)
		if !<-done {
			t.Fatal("nothing there")
		}
		if supply.Level() != 52 || tap.Available() != 48 {
			t.Errorf("%d bytes left, %d set aside", supply.Level(), tap.Available())
		}
		if !tap.Await(nil, 64) || supply.Level() != 52 {
			t.Errorf("what is set aside is enough: %d left", supply.Level())
		}
		if n := tap.TryRead(make([]byte, 64)); n != 48 {
			t.Errorf("%d bytes", n)
		}
		if st := tap.Stats(); st.Bytes != 48 || st.SupplyThrottled != 0 {
			t.Errorf("%+v", st)
		}
		supply.add(-52)
		go func() { _, err := tap.Read(make([]byte, 64)); done <- err == nil }()
		time.Sleep(time.Second)
		if st := tap.Stats(); !st.Waiting || st.SupplyThrottled != time.Second {
			t.Errorf("a reader's wait after that: %+v", st)
		}
		supply.add(64)
		if !<-done {
			t.Error("the read failed")
		}
	})
}

// What ends an Await loses nothing, and who tries meanwhile does not overtake.
func TestAwaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		supply, s := setup(0, Options{})
		tap := s.NewTap(one)
		over := make(chan struct{})
		done := make(chan bool)
		go func() { done <- tap.Await(over, 64) }()
		go func() { done <- tap.Await(over, 64) }() // queues
		synctest.Wait()
		close(over)
		for range 2 {
			if <-done {
				t.Error("something out of nothing")
			}
		}
		supply.add(64)
		if n := tap.TryRead(make([]byte, 64)); n != 64 {
			t.Errorf("%d bytes of what was wished for", n)
		}
		go func() { done <- tap.Await(nil, 64) }()
		synctest.Wait()
		tap.Close()
		if <-done || tap.Await(nil, 64) {
			t.Error("something of a closed tap")
		}
	})
}

// ReadUntil gives way, whatever it waits for, and loses nothing; what is there it takes.
func TestReadUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		supply, s := setup(64, Options{})
		tap := s.NewTap(Limits{Rate: 64, Burst: 64, Weight: 1})
		over := make(chan struct{})
		close(over)
		p := make([]byte, 64)
		if n, err := tap.ReadUntil(t.Context(), over, p); n != 64 || err != nil {
			t.Errorf("what is there: %d, %v", n, err)
		}
		for _, why := range []string{"rate", "supply"} {
			over, done := make(chan struct{}), make(chan error)
			for range 2 { // one that waits and one that queues
				go func() {
					n, err := tap.ReadUntil(t.Context(), over, make([]byte, 64))
					if n != 0 {
						err = errors.New("bytes")
					}
					done <- err
				}()
			}
			time.Sleep(time.Second / 2)
			close(over)
			for range 2 {
				if err := <-done; err != nil {
					t.Error(why, err)
				}
			}
			time.Sleep(time.Second)
		}
		if st := tap.Stats(); st.Waiting || st.RateThrottled != time.Second/2 || st.SupplyThrottled != time.Second/2 {
			t.Errorf("%+v", st)
		}
		supply.add(64)
		if n := tap.TryRead(p); n != 64 {
			t.Errorf("%d bytes of what was wished for", n)
		}
	})
}

func TestAwaitKeepsTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := setup(1<<20, Options{})
		tap := s.NewTap(Limits{Rate: 64, Burst: 64, Weight: 1})
		p := make([]byte, 64)
		tap.TryRead(p)
		if d := tap.Wait(1 << 20); d < time.Second || d > time.Second+10 {
			t.Errorf("waits %v for a turn's bytes", d)
		}
		if d := tap.Wait(32); d < time.Second/2 || d > time.Second/2+10 {
			t.Errorf("waits %v for half a turn's", d)
		}
		began, done := time.Now(), make(chan bool)
		go func() { done <- tap.Await(nil, 64) }()
		time.Sleep(time.Second / 2)
		if n := tap.TryRead(make([]byte, 8)); n != 0 {
			t.Errorf("%d bytes overtake", n)
		}
		if !<-done || time.Since(began) < time.Second {
			t.Errorf("after %v", time.Since(began))
		}
		if n := tap.TryRead(p); n != 64 || tap.TryRead(p) != 0 {
			t.Errorf("%d bytes", n)
		}
		tap.SetLimits(one)
		if tap.Wait(64) != 0 {
			t.Error("waits without a rate")
		}
		tap.Fresh()
		tap.SetLimits(Limits{Rate: 1, Burst: 64, Weight: 1})
		if tap.Wait(64) != 0 {
			t.Error("waits with an advance")
		}
	})
}
