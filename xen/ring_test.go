package xen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"headgate/wire/pipe"
	"headgate/wire/wiretest"
	"headgate/xen/vchan"
)

// tap never runs dry and counts its newcomers.
type tap struct {
	wiretest.Endless
	fresh atomic.Int32
}

func (t *tap) Fresh() { t.fresh.Add(1) }

// berth is a Ring that runs, in a bubble with a clock of its own.
type berth struct {
	*Ring
	*dock
	tap    *tap
	events chan pipe.Event
}

// inBerth runs f with a Ring whose connections connect makes; nil: the dock.
func inBerth(t *testing.T, connect func(uint16, vchan.Offer) (io.ReadWriteCloser, error), f func(t *testing.T, b *berth)) {
	synctest.Test(t, func(t *testing.T) {
		b := &berth{dock: newDock(), tap: new(tap), events: make(chan pipe.Event, 1000)}
		if connect == nil {
			connect = b.dock.connect
		}
		b.Ring = newRing(Options{Tap: b.tap, Notify: func(e pipe.Event) { b.events <- e }}, connect)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx) }()
		f(t, b)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// guest takes the guest's end of the next connection.
func (b *berth) guest(t *testing.T) net.Conn {
	t.Helper()
	synctest.Wait()
	select {
	case conn := <-b.ends:
		<-b.asked
		return conn
	default:
		t.Fatal("it has not connected")
		return nil
	}
}

func (b *berth) idle(t *testing.T, why string) {
	t.Helper()
	synctest.Wait()
	select {
	case o := <-b.asked:
		t.Fatalf("it connected to %+v: %s", o, why)
	default:
	}
}

func ended(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Fatal(err)
	}
}

func TestARingThatEndedIsNotTriedAgainBeforeItIsOfferedAnew(t *testing.T) {
	inBerth(t, nil, func(t *testing.T, b *berth) {
		b.Offer(offer(5, 9, 1))
		first := b.guest(t)
		if id, there := b.Domain(); !there || id != 5 || b.Trouble() != "" {
			t.Fatalf("domain %d %v, trouble %q", id, there, b.Trouble())
		}
		first.Close()
		time.Sleep(time.Hour)
		b.Offer(offer(5, 9, 1)) // as before
		b.idle(t, "nothing new was offered")
		if b.Trouble() == "" {
			t.Error("it is not connected, and does not say why")
		}
		b.Offer(offer(5, 9, 2))
		b.guest(t).Close()
	})
}

func TestARingOfferedWhileTheOldOneStillServesIsNext(t *testing.T) {
	inBerth(t, nil, func(t *testing.T, b *berth) {
		b.Offer(offer(5, 9, 1))
		first := b.guest(t)
		b.Offer(offer(5, 9, 2)) // seen before the end of the old one
		b.idle(t, "the same numbers change nothing while it is connected")
		first.Close()
		b.guest(t).Close()
	})
}

func TestOtherNumbersAreAnotherRing(t *testing.T) {
	for _, other := range []Offer{offer(5, 10, 2), offer(6, 9, 2)} {
		inBerth(t, nil, func(t *testing.T, b *berth) {
			b.Offer(offer(5, 9, 1))
			first := b.guest(t)
			b.Offer(other)
			ended(t, first)
			second := b.guest(t)
			if s := b.Stats(); !s.Connected || s.Connections != 2 || s.Errors != 0 {
				t.Errorf("%+v", s)
			}
			second.Close()
		})
	}
}

func TestWithdrawWakesABlockedWriteAndUnmaps(t *testing.T) {
	inBerth(t, nil, func(t *testing.T, b *berth) {
		b.Offer(offer(5, 9, 1))
		conn := b.guest(t) // its writer hangs in the push
		before := time.Now()
		b.Withdraw()
		synctest.Wait()
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Fatalf("still mapped: %v", err)
		}
		if b.Stats().Connected || !time.Now().Equal(before) {
			t.Error("it took its time")
		}
		if _, there := b.Domain(); there || b.Trouble() != "" {
			t.Errorf("domain there: %v, trouble %q", there, b.Trouble())
		}
		b.Offer(offer(5, 9, 1)) // by a sink that has taken its word back
		b.guest(t).Close()
	})
}

// The domain goes while its page is being mapped.
func TestWithdrawDuringConnect(t *testing.T) {
	var mapping, mapped chan struct{}
	var ours net.Conn
	inBerth(t, func(uint16, vchan.Offer) (io.ReadWriteCloser, error) {
		close(mapping)
		<-mapped
		return ours, nil
	}, func(t *testing.T, b *berth) {
		mapping, mapped = make(chan struct{}), make(chan struct{})
		ours, _ = net.Pipe()
		b.Offer(offer(5, 9, 1))
		<-mapping
		b.Withdraw()
		close(mapped)
		synctest.Wait()
		if n := b.tap.fresh.Load() + int32(len(b.events)); n != 0 {
			t.Error("it was taken for a guest")
		}
		if _, err := ours.Write([]byte{0}); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("still mapped: %v", err)
		}
	})
}

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

// broken is a ring whose guest has written nonsense into the page.
type broken struct{ io.ReadWriteCloser }

func (broken) Read([]byte) (int, error) { return 0, fmt.Errorf("read: %w", vchan.ErrCorrupt) }

func TestABrokenRingIsAnErrorAndSaysWhy(t *testing.T) {
	var ours, theirs net.Conn
	inBerth(t, func(uint16, vchan.Offer) (io.ReadWriteCloser, error) {
		return broken{ours}, nil
	}, func(t *testing.T, b *berth) {
		ours, theirs = net.Pipe()
		b.Offer(offer(5, 9, 1))
		synctest.Wait()
		if e := <-b.events; e.Kind != pipe.Connected || e.Peer.String() != "domain 5" {
			t.Errorf("%+v", e)
		}
		if e := <-b.events; e.Kind != pipe.Broken || !errors.Is(e.Err, vchan.ErrCorrupt) {
			t.Errorf("%+v", e)
		}
		if s := b.Stats(); s.Errors != 1 || s.Connected || b.Trouble() == "" {
			t.Errorf("%+v, trouble %q", s, b.Trouble())
		}
		ended(t, theirs)
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
