package egd

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"headgate/wire/wiretest"
)

// TestFloodOfReads owes a client that does not read 25 MB. All its requests are
// drained, none costs memory, and all are answered once it reads.
func TestFloodOfReads(t *testing.T) {
	const requests = 100_000
	for _, push := range []int{0, 64} {
		p := dial(t, &Server{Tap: new(wiretest.Endless), Push: push})
		p.want(push)
		heap := heapInUse()
		batch := bytes.Repeat([]byte{0x02, 0xff}, 1000)
		for range requests / 1000 {
			p.write(batch...)
		}
		if grown := heapInUse() - heap; grown > 64<<10 {
			t.Errorf("the flood cost %d bytes of heap", grown)
		}
		got := make([]byte, 64<<10)
		for left := requests * 255; left > 0; {
			n, err := p.conn.Read(got[:min(left, len(got))])
			if err != nil {
				t.Fatal(err)
			}
			p.next(got[:n])
			left -= n
		}
		p.close()
	}
}

func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestQEMUIsCutOffNotMadeToWait: what cannot be merged is bounded, and QEMU's
// main thread must not hang on us.
func TestQEMUIsCutOffNotMadeToWait(t *testing.T) {
	tank := wiretest.NewTank(0)
	p := dial(t, &Server{Tap: tank, Push: 64})
	p.write(bytes.Repeat([]byte{0x00}, depth-1)...)
	dry(t, tank)
	p.write(0x00)
	if err := p.ended(); !errors.Is(err, ErrFlood) {
		t.Errorf("got %v, want ErrFlood", err)
	}
}

func TestStrictClientIsMadeToWait(t *testing.T) {
	const levels = 1 << 20
	tank := wiretest.NewTank(0)
	p := dial(t, &Server{Tap: tank})
	p.write(0x02, 64)
	dry(t, tank)
	_ = p.conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	sent, err := p.conn.Write(make([]byte, levels))
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("wrote %d requests, %v: nobody made it wait", sent, err)
	}
	tank.Pour(64)
	p.want(64)
	answers := make([]byte, 4*sent)
	p.read(answers)
	if n := bytes.Count(answers, []byte{0}); n != len(answers) {
		t.Error("level of an empty tap is not 0")
	}
	p.close()
}

func TestStrictClientGoesOnAsSoonAsThereIsRoom(t *testing.T) {
	tank := wiretest.NewTank(0)
	p := dialPipe(t, &Server{Tap: tank}) // a write returns when the server has read it
	p.write(bytes.Repeat([]byte{0x02, 1, 0x00}, depth/2)...)
	dry(t, tank)
	p.write(0x04)
	tank.Pour(1)
	p.want(1)
	p.raw(0, 0, 0, 0)
	dry(t, tank)
	p.write(0x04)
	if err := p.conn.Close(); err != nil {
		t.Error(err)
	}
}

func TestStrictClientThatWaitsCanBeEnded(t *testing.T) {
	for name, end := range map[string]func(*pair, *wiretest.Tank){
		"context": func(p *pair, _ *wiretest.Tank) { p.cancel(nil) },
		"tap":     func(_ *pair, tank *wiretest.Tank) { tank.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			tank := wiretest.NewTank(0)
			p := dial(t, &Server{Tap: tank})
			p.write(0x02, 64)
			p.write(make([]byte, 10*depth)...)
			dry(t, tank)
			end(p, tank)
			if err := p.ended(); err == nil {
				t.Error("no reason given")
			}
		})
	}
}

// TestClientNeverReads: the writer hangs in the socket, the reader goes on.
func TestClientNeverReads(t *testing.T) {
	tank := wiretest.NewTank(1 << 30)
	p := dial(t, &Server{Tap: tank, Push: 64})
	for range 100 {
		p.write(bytes.Repeat([]byte{0x02, 0xff}, 10_000)...)
	}
	if given := tank.Given(); given > 4<<20 {
		t.Errorf("%d bytes taken for a client that does not read", given)
	}
	p.close()
	if n := tank.Unzeroed(); n > 0 {
		t.Errorf("%d bytes not zeroed", n)
	}
}

func TestClientGoesInTheMiddle(t *testing.T) {
	for name, in := range map[string][]byte{
		"of nothing":     {},
		"of a request":   {0x02},
		"of a push":      {0x03, 0, 8, 200, 1, 2, 3},
		"of an answer":   {0x02, 200},
		"of two answers": {0x02, 200, 0x01, 10, 0x02, 255},
	} {
		t.Run(name, func(t *testing.T) {
			tank := wiretest.NewTank(50)
			p := dial(t, &Server{Tap: tank})
			p.write(in...)
			if len(in) > 1 && in[0] == 0x02 {
				dry(t, tank)
			}
			p.close()
			if n := tank.Unzeroed(); n > 0 {
				t.Errorf("%d bytes not zeroed", n)
			}
			given := tank.Given()
			tank.Pour(1000)
			if tank.Given() != given {
				t.Error("bytes taken for a client that has gone")
			}
		})
	}
}

func TestGarbage(t *testing.T) {
	for op := 5; op < 256; op += 25 {
		count := new(Counters)
		p := dial(t, &Server{Tap: new(wiretest.Endless), Count: count})
		p.write(0x02, 9, byte(op), 0x02, 7)
		p.want(9) // what was asked properly is answered
		if n, err := p.conn.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("answer to garbage: %d bytes, %v", n, err)
		}
		if err := p.ended(); !errors.Is(err, ErrGarbage) {
			t.Errorf("got %v, want ErrGarbage", err)
		}
		if g, r := count.Garbage.Load(), count.Requests.Load(); g != 1 || r != 1 {
			t.Errorf("counted %d garbage, %d requests; want 1, 1", g, r)
		}
	}
}

func TestServeEnds(t *testing.T) {
	cause := errors.New("guest removed")
	for _, tt := range []struct {
		name string
		end  func(p *pair, theirs net.Conn, tank *wiretest.Tank)
		want error
	}{
		{"context", func(p *pair, _ net.Conn, _ *wiretest.Tank) { p.cancel(nil) }, context.Canceled},
		{"context with cause", func(p *pair, _ net.Conn, _ *wiretest.Tank) { p.cancel(cause) }, cause},
		{"connection closed", func(_ *pair, theirs net.Conn, _ *wiretest.Tank) { _ = theirs.Close() }, net.ErrClosed},
		{"client closed", func(p *pair, _ net.Conn, _ *wiretest.Tank) { _ = p.conn.Close() }, nil},
	} {
		for state, owed := range map[string][]byte{
			"idle":           nil,
			"tap is dry":     {0x02, 200},
			"client is full": bytes.Repeat([]byte{0x02, 0xff}, 10_000),
		} {
			t.Run(tt.name+"/"+state, func(t *testing.T) {
				tank := wiretest.NewTank(100)
				if len(owed) > 2 {
					tank.Pour(1 << 30)
				}
				ours, theirs := socketPair(t)
				p := start(t, &Server{Tap: tank}, ours, theirs)
				p.write(owed...)
				if len(owed) == 2 {
					dry(t, tank)
				}
				tt.end(p, theirs, tank)
				if err := p.ended(); !errors.Is(err, tt.want) || (tt.want == nil && err != nil) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
				if n := tank.Unzeroed(); n > 0 {
					t.Errorf("%d bytes not zeroed", n)
				}
				if _, err := theirs.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
					t.Errorf("connection still open: %v", err)
				}
			})
		}
	}
}

func TestTapClosed(t *testing.T) {
	tank := wiretest.NewTank(3)
	p := dial(t, &Server{Tap: tank, Push: 64})
	p.want(3)
	tank.Close()
	if err := p.ended(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v, want os.ErrClosed", err)
	}
	if _, err := p.conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("client sees %v, want EOF", err)
	}
}

// TestSentIsZeroed looks at the server's own buffer, through the slices that the
// tap was given to fill, while the connection lives.
func TestSentIsZeroed(t *testing.T) {
	for _, dial := range carriers {
		tank := wiretest.NewTank(100)
		p := dial(t, &Server{Tap: tank})
		p.write(0x00, 0x02, 64)
		p.raw(0, 0, 100*8>>8, 100*8&0xff)
		p.want(64)
		p.write(0x01, 0) // its answer says that the server has done with what was before
		p.raw(0)
		if n := tank.Unzeroed(); n > 0 {
			t.Errorf("%d bytes not zeroed", n)
		}
		p.close()
	}
}
