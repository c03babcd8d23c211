package vchan

import (
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"
)

// A peer that writes an index that it cannot have come to ends the Conn, for both
// halves, whoever sees it.
func TestIndexOutOfBounds(t *testing.T) {
	both(t, func(t *testing.T, v *two, near, far *Conn) {
		read, write := waiting(t, near)
		v.page.store(near.role.inProd, 1<<30)
		must(t, far.bell.ring())
		for _, c := range []<-chan result{read, write} {
			if r := await(t, c); !errors.Is(r.err, ErrCorrupt) {
				t.Error(r)
			}
		}
		v.page.store(near.role.inProd, 0)
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("after that: %v", err)
		}
	})
	both(t, func(t *testing.T, v *two, near, far *Conn) {
		v.page.store(near.role.outCons, ^uint32(0))
		if _, err := near.Write([]byte{1}); !errors.Is(err, ErrCorrupt) {
			t.Error(err)
		}
		if _, err := near.Read([]byte{1}); !errors.Is(err, ErrCorrupt) {
			t.Error(err)
		}
	})
}

// What is ours in the page is never read back, and orders and grants were read once.
func TestTheRestOfThePageDoesNotMatter(t *testing.T) {
	both(t, func(t *testing.T, v *two, near, far *Conn) {
		for i := range 200 {
			v.page.store(near.role.outProd, rand.Uint32())
			v.page.store(atOrders, rand.Uint32())
			v.page.store(atGrants, rand.Uint32())
			near.page.set(0xff0000 << 8) // both want to be told of everything
			if n, err := near.Write([]byte("answer")); n != 6 || err != nil {
				t.Fatal(i, n, err)
			}
			p := make([]byte, 8)
			if n, err := far.Read(p); err != nil || string(p[:n]) != "answer" {
				t.Fatal(i, string(p[:n]), err)
			}
			if n, err := far.Write([]byte("question")); n != 8 || err != nil {
				t.Fatal(i, n, err)
			}
			v.page.store(near.role.inCons, rand.Uint32())
			if n, err := near.Read(p); err != nil || string(p[:n]) != "question" {
				t.Fatal(i, n, err)
			}
		}
	})
}

// A peer that writes anything anywhere, and rings, for a while: every call ends in
// bounded time, with bytes or an error, and Close works.
func TestPageOfNoise(t *testing.T) {
	both(t, func(t *testing.T, v *two, near, far *Conn) {
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				v.page.store(4*rand.IntN(8), rand.Uint32()>>rand.IntN(32))
				_ = far.bell.ring()
				if i%100 == 99 {
					time.Sleep(50 * time.Microsecond)
				}
			}
		}()
		end := time.Now().Add(50 * time.Millisecond)
		must(t, near.SetDeadline(end))
		p := make([]byte, 4096)
		for time.Now().Before(end) {
			if n, err := near.Read(p); err != nil && n != 0 || n > len(p) {
				t.Error(n, err)
			}
			if n, err := near.Write(p[:100]); n > 100 {
				t.Error(n, err)
			}
		}
		close(stop)
		<-stopped
		must(t, near.Close())
	})
}

func TestPace(t *testing.T) {
	var p pace
	ms := time.Millisecond
	for round := range 2 {
		for i := range freeEvents {
			if d := p.brought(false); d != 0 {
				t.Fatalf("event %d costs %v", i, d)
			}
		}
		for _, want := range []time.Duration{ms, 2 * ms, 4 * ms, 8 * ms, 16 * ms, 32 * ms, 50 * ms, 50 * ms, 50 * ms} {
			if d := p.brought(false); d != want {
				t.Fatalf("round %d: %v, want %v", round, d, want)
			}
		}
		if d := p.brought(true); d != 0 {
			t.Fatalf("bytes cost %v", d)
		}
	}
	for range 1000 {
		p.brought(false)
	}
	if d := p.brought(false); d != lastPause {
		t.Fatal(d)
	}
}

// storm rings without end, and does something in between.
func storm(t *testing.T, near, far *Conn, also func(i int)) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				also(i)
				_ = far.bell.ring()
				time.Sleep(20 * time.Microsecond)
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-stopped })
}

// A storm of events that bring nothing wakes us a few times, and what is sent
// meanwhile comes with the next pause's end.
func TestStorm(t *testing.T) {
	both(t, func(t *testing.T, v *two, near, far *Conn) {
		bell := near.bell.(*fakeBell)
		read := later(func() (int, error) { return near.Read(make([]byte, 1)) })
		asleep(t, near, 1)
		storm(t, near, far, func(int) {})
		time.Sleep(150 * time.Millisecond)
		if n := bell.waits.Load(); n > 25 {
			t.Errorf("woken %d times in 150 ms", n)
		}
		if bell.pauses.Load() == 0 {
			t.Error("no pause")
		}
		begin := time.Now()
		if _, err := far.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
		if r := await(t, read); r.n != 1 || r.err != nil {
			t.Fatal(r)
		}
		if d := time.Since(begin); d > time.Second {
			t.Errorf("a byte took %v", d)
		}
		// Close ends a pause.
		read = later(func() (int, error) { return near.Read(make([]byte, 1)) })
		time.Sleep(20 * time.Millisecond)
		must(t, near.Close())
		await(t, read)
	})
}

// So does one whose index goes forth and back.
func TestStormWithAnIndexThatWavers(t *testing.T) {
	v := newTwo(t, 0, 0)
	near, far := v.server, v.client
	read := later(func() (int, error) { return near.Write(make([]byte, 5000)) }) // more than fits
	asleep(t, near, 1)
	at, had := near.role.outCons, v.page.load(near.role.outCons)
	storm(t, near, far, func(i int) {
		v.page.store(at, had+uint32(i%2)) // it goes back before it is used, or is found out
		v.page.store(at, had)
	})
	time.Sleep(150 * time.Millisecond)
	if n := near.bell.(*fakeBell).waits.Load(); n > 25 {
		t.Errorf("woken %d times in 150 ms", n)
	}
	must(t, near.Close())
	await(t, read)
}

// Events that tell of bytes are never paced, however many there are.
func TestNoPauseWhileBytesCome(t *testing.T) {
	v := newTwo(t, 0, 0)
	done := later(func() (int, error) {
		p := make([]byte, 1)
		for range 2000 {
			if _, err := io.ReadFull(v.server, p); err != nil {
				return 0, err
			}
			if _, err := v.server.Write(p); err != nil {
				return 0, err
			}
		}
		return 2000, nil
	})
	p := make([]byte, 1)
	for range 2000 {
		if _, err := v.client.Write(p); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(v.client, p); err != nil {
			t.Fatal(err)
		}
	}
	if r := await(t, done); r.err != nil {
		t.Fatal(r)
	}
	if n := v.sbell.pauses.Load() + v.cbell.pauses.Load(); n != 0 {
		t.Errorf("%d pauses", n)
	}
}
