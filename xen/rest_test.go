package xen

import (
	"io"
	"io/fs"
	"testing"
	"testing/synctest"
	"time"

	"headgate/wire/pipe"
	"headgate/xen/vchan"
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

// hostd may have come while a session of the one before it was still offered.
func TestADomainThatWasNotMetIsRungForWhenItsOfferGoes(t *testing.T) {
	inBerth(t, func(uint16, vchan.Offer) (io.ReadWriteCloser, error) {
		return nil, fs.ErrNotExist
	}, func(t *testing.T, b *berth) {
		var rung []uint16
		b.bell = func(domid uint16) { rung = append(rung, domid) }
		b.Offer(offer(5, 9, 1))
		synctest.Wait()
		b.Await(5)
		b.Offer(offer(5, 9, 2))
		synctest.Wait()
		b.Await(5)
		if len(rung) != 1 || rung[0] != 5 {
			t.Errorf("rung for %v, once is enough", rung)
		}
	})
}

// What a guest that rests offers next cannot be connected to.
func TestAGuestThatCannotBeConnectedToDoesNotRest(t *testing.T) {
	d, absent := newDock(), false
	inBerth(t, func(domid uint16, o vchan.Offer) (io.ReadWriteCloser, error) {
		if absent {
			return nil, fs.ErrNotExist
		}
		return d.connect(domid, o)
	}, func(t *testing.T, b *berth) {
		b.dock = d
		b.Offer(offer(5, 9, 1))
		b.guest(t).Close()
		b.Await(5)
		b.saw(t, pipe.Connected)
		time.Sleep(time.Minute)
		absent = true
		b.Offer(offer(5, 9, 2))
		b.saw(t, pipe.Disconnected, pipe.Refused)
		if b.Stats().Connected || b.Push() {
			t.Error("it is not there")
		}
		b.Withdraw()
		b.saw(t)
	})
}
