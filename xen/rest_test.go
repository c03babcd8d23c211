package xen

import (
	"testing"
	"testing/synctest"
	"time"

	"headgate/wire/pipe"
)

func (b *berth) saw(t *testing.T, want ...pipe.EventKind) {
	t.Helper()
	synctest.Wait()
	for _, kind := range want {
		select {
		case e := <-b.events:
			if e.Kind != kind {
				t.Errorf("event %+v, want kind %d", e, kind)
			}
		default:
			t.Errorf("no event of kind %d", kind)
		}
	}
	select {
	case e := <-b.events:
		t.Errorf("event %+v beside %v", e, want)
	default:
	}
}

// guestd has short sessions. Between two it rests, however the end of the ring and the
// end of the offer are seen, and nothing of that is news.
func TestAGuestRestsBetweenItsSessions(t *testing.T) {
	inBerth(t, nil, func(t *testing.T, b *berth) {
		b.Offer(offer(5, 9, 1))
		conn := b.guest(t)
		b.saw(t, pipe.Connected)
		for generation := uint64(2); generation < 20; generation += 2 {
			switch generation % 6 {
			case 0: // the ring's end first
				conn.Close()
				synctest.Wait()
				b.Await(5)
			case 2: // the offer's first: what was written is still read
				b.Await(5)
				synctest.Wait()
				if !b.served.Stats().Connected {
					t.Error("it did not wait for the end of the session")
				}
				conn.Close()
			case 4: // signals of the old offer come late
				b.Offer(offer(5, 9, generation))
				conn.Close()
				synctest.Wait()
				b.Await(5)
			}
			synctest.Wait()
			if s := b.Stats(); !s.Connected || b.Trouble() != "" {
				t.Errorf("it does not rest: %+v, trouble %q", s, b.Trouble())
			}
			time.Sleep(time.Minute)
			for len(b.ends) > 0 { // what was tried of the old offer
				(<-b.ends).Close()
				<-b.asked
			}
			b.Offer(offer(5, 9, generation+1))
			conn = b.guest(t)
		}
		b.saw(t)
		if n := b.tap.fresh.Load(); n != 1 {
			t.Errorf("it counted as unseeded %d times", n)
		}
		conn.Close()
		b.Await(5)
		synctest.Wait()
		b.Withdraw()
		b.saw(t, pipe.Disconnected)
		if s := b.Stats(); s.Connected || s.Errors+s.Refused > 0 {
			t.Errorf("%+v", s)
		}
	})
}

// A guestd that was killed leaves its offer behind.
func TestAGuestdThatWasKilledIsMissed(t *testing.T) {
	inBerth(t, nil, func(t *testing.T, b *berth) {
		b.Offer(offer(5, 9, 1))
		b.guest(t).Close()
		b.saw(t, pipe.Connected)
		time.Sleep(parting)
		b.saw(t, pipe.Disconnected)
		if s := b.Stats(); s.Connected || b.Trouble() == "" {
			t.Errorf("%+v, trouble %q", s, b.Trouble())
		}
		b.Offer(offer(5, 9, 2))
		b.guest(t).Close()
		b.saw(t, pipe.Connected)
		if n := b.tap.fresh.Load(); n != 2 {
			t.Errorf("it counted as unseeded %d times", n)
		}
	})
}

func TestAnotherDomainIsNews(t *testing.T) {
	for _, rests := range []bool{true, false} {
		inBerth(t, nil, func(t *testing.T, b *berth) {
			b.Offer(offer(5, 9, 1))
			conn := b.guest(t)
			b.saw(t, pipe.Connected)
			if rests {
				conn.Close()
				b.Await(5)
				synctest.Wait()
			}
			b.Offer(offer(6, 9, 2))
			next := b.guest(t)
			b.saw(t, pipe.Disconnected, pipe.Connected)
			if n := b.tap.fresh.Load(); n != 2 {
				t.Errorf("it counted as unseeded %d times", n)
			}
			next.Close()
		})
	}
}

func TestAPushRingsForAGuestThatRests(t *testing.T) {
	inBerth(t, nil, func(t *testing.T, b *berth) {
		var rung []uint16
		b.bell = func(domid uint16) { rung = append(rung, domid) }
		if b.Push() || len(rung) > 0 {
			t.Error("nobody is there")
		}
		b.Await(5)
		b.Await(5)
		if len(rung) != 1 || rung[0] != 5 {
			t.Errorf("rung for %v: once for a domain that is new", rung)
		}
		b.Offer(offer(5, 9, 1))
		conn := b.guest(t)
		conn.Close()
		b.Await(5)
		synctest.Wait()
		if !b.Push() || len(rung) != 2 {
			t.Errorf("rung for %v: it rests", rung)
		}
		b.Withdraw()
		if b.Push() || len(rung) != 2 {
			t.Errorf("rung for %v: it has gone", rung)
		}
	})
}

func TestTheBellIsWrittenWhereADomainIs(t *testing.T) {
	h := newHost(t)
	h.boot(5, "web1", uuid5)
	h.follow()
	guest := h.connect(5)
	w, err := guest.Watch(BellPath)
	if err != nil {
		t.Fatal(err)
	}
	<-w.C // it was set
	for range 3 {
		h.follower.Bell(7)
		h.follower.Bell(5)
		select {
		case <-w.C:
		case <-time.After(10 * time.Second):
			t.Fatal("it did not ring")
		}
	}
	if _, err := h.tools.Read(place(7)); err == nil {
		t.Error("a domain that is not there has nodes")
	}
	if text, err := guest.Read(BellPath); err != nil || text == "" {
		t.Errorf("%q, %v", text, err)
	}
}
