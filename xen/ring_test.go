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
