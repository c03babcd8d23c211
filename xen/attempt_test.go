package xen

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"headgate/wire/pipe"
	"headgate/xen/vchan"
)

func TestARingThatCannotBeMappedIsTriedAgainSlowly(t *testing.T) {
	var tries atomic.Int32
	inBerth(t, func(uint16, vchan.Offer) (io.ReadWriteCloser, error) {
		tries.Add(1)
		return nil, errors.New("no event channels left")
	}, func(t *testing.T, b *berth) {
		b.Offer(offer(5, 9, 1))
		synctest.Wait()
		if tries.Load() != 1 || b.Trouble() != "no event channels left" {
			t.Fatalf("%d tries, trouble %q", tries.Load(), b.Trouble())
		}
		time.Sleep(time.Hour)
		if n := tries.Load(); n < 100 || n > 140 {
			t.Errorf("%d tries in an hour", n)
		}
		n := tries.Load()
		b.Offer(offer(5, 9, 2))
		synctest.Wait()
		if tries.Load() != n+1 {
			t.Error("what was offered anew is not tried at once")
		}
		time.Sleep(minRetry)
		synctest.Wait()
		if tries.Load() != n+2 {
			t.Error("what was offered anew is not tried again soon")
		}
		if len(b.events) != 1 || (<-b.events).Kind != pipe.Refused {
			t.Error("the reason is not told once")
		}
		if s := b.Stats(); s.Refused != uint64(n)+2 || s.Connections != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// A guest that breaks one ring after the other waits longer and longer; another domain
// does not.
func TestWhoBreaksRingsWaits(t *testing.T) {
	tries := 0
	inBerth(t, func(uint16, vchan.Offer) (io.ReadWriteCloser, error) {
		tries++
		ours, _ := net.Pipe()
		return broken{ours}, nil
	}, func(t *testing.T, b *berth) {
		for i := range uint64(3600) {
			b.Offer(offer(5, 9, i+1))
			time.Sleep(time.Second)
		}
		if synctest.Wait(); tries < 60 || tries > 150 {
			t.Errorf("%d tries in an hour", tries)
		}
		before := tries
		b.Offer(offer(6, 9, 4000))
		if synctest.Wait(); tries != before+1 {
			t.Error("another domain waits for what this one did")
		}
		for len(b.events) > 0 {
			<-b.events
		}
	})
}

// A guest that offers again and again, with the same and with other numbers.
func TestReOffersAreBounded(t *testing.T) {
	for _, span := range []int{1, 7} {
		inBerth(t, nil, func(t *testing.T, b *berth) {
			go func() {
				for conn := range b.ends {
					conn.Close()
				}
			}()
			const seconds = 60
			for i := range seconds * 1000 {
				b.Offer(offer(5, i%span, uint64(i+1)))
				time.Sleep(time.Millisecond)
			}
			synctest.Wait()
			if n := len(b.asked); n < seconds/2 || n > often+longer+seconds+10 {
				t.Errorf("%d connections in %d seconds", n, seconds)
			}
			close(b.ends)
			for len(b.asked) > 0 {
				<-b.asked
			}
			b.Withdraw()
			synctest.Wait()
		})
	}
}
