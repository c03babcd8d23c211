package egd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"testing"

	"headgate/wire/wiretest"
)

// expect is the naive server: all the answers that in asks for, from a tap that
// never runs dry.
func expect(in []byte, push int, pid string) (out []byte, requests, pushed uint64, err error) {
	at := uint64(0)
	take := func(n int) {
		p := make([]byte, n)
		wiretest.Pattern(p, at)
		at += uint64(n)
		out = append(out, p...)
	}
	take(push)
	for len(in) > 0 {
		r, size, bad := ParseRequest(in)
		if bad != nil || size == 0 {
			return out, requests, pushed, bad
		}
		in = in[size:]
		requests++
		switch r.Op {
		case OpLevel:
			out = binary.BigEndian.AppendUint32(out, math.MaxUint32&^7)
		case OpReadNonblock:
			out = append(out, r.N)
			take(int(r.N))
		case OpRead:
			take(int(r.N))
		case OpPID:
			out = append(append(out, byte(len(pid))), pid...)
		case OpWrite:
			requests--
			pushed++
			in = in[min(int(r.N), len(in)):]
		}
	}
	return out, requests, pushed, nil
}

func FuzzServer(f *testing.F) {
	f.Add([]byte{0x02, 0xff, 0x02, 0xff, 0x02, 0x5a}, uint8(0), uint8(0), true)
	f.Add([]byte{0x00, 0x01, 9, 0x03, 1, 2, 3, 4, 5, 6, 0x04, 0x02, 1}, uint8(3), uint8(64), false)
	f.Add([]byte{0x02, 64, 0x07, 0x02}, uint8(1), uint8(64), true)
	f.Add(bytes.Repeat([]byte{0x00, 0x02, 0xff}, 100), uint8(7), uint8(0), false)
	f.Add(make([]byte, 300), uint8(0), uint8(64), false)
	f.Fuzz(func(t *testing.T, in []byte, chunk, push uint8, socket bool) {
		in = in[:min(len(in), 4096)]
		dial := carriers["pipe"]
		if socket {
			dial = carriers["socket"]
		}
		want, requests, pushed, bad := expect(in, int(push), "pid")
		count, tap := new(Counters), new(wiretest.Endless)
		p := dial(t, &Server{Tap: tap, Push: int(push), PID: "pid", Count: count})

		sent := make(chan struct{})
		go func() {
			defer close(sent)
			size := max(int(chunk), 1)
			for b := in; len(b) > 0; b = b[min(size, len(b)):] {
				if _, err := p.conn.Write(b[:min(size, len(b))]); err != nil {
					return
				}
			}
		}()
		got := make([]byte, len(want)+1)
		n, _ := io.ReadFull(p.conn, got[:len(want)])
		if !bytes.Equal(got[:n], want[:n]) {
			t.Fatal("not what was asked for")
		}
		<-sent
		if bad == nil && n == len(want) { // all has been read: is there more?
			_ = p.conn.Close()
		} else if m, _ := p.conn.Read(got[n:]); m > 0 && n == len(want) {
			t.Fatal("more than was asked for")
		}
		err := p.ended()
		switch {
		case errors.Is(err, ErrFlood):
			if push == 0 {
				t.Fatal("strict client cut off")
			}
			return
		case !errors.Is(err, ErrGarbage) && err != nil:
			t.Fatal(err)
		case errors.Is(err, ErrGarbage) != (bad != nil):
			t.Fatalf("ended with %v, want %v", err, bad)
		case bad == nil && n != len(want):
			t.Fatalf("%d bytes of %d", n, len(want))
		}
		if count.Requests.Load() != requests || count.Pushed.Load() != pushed ||
			(bad != nil) != (count.Garbage.Load() == 1) {
			t.Fatal("counts are not those of the reference")
		}
		if out := count.BytesOut.Load(); out > uint64(len(want)) || out < uint64(n) {
			t.Fatalf("counted %d bytes out; sent %d of %d", out, n, len(want))
		}
		if tap.Given() > uint64(len(want)) {
			t.Fatal("took more than was asked for")
		}
	})
}

func FuzzParseRequest(f *testing.F) {
	f.Add([]byte{0x03, 0, 16, 2, 1, 2})
	f.Add([]byte{0x02})
	f.Add([]byte{0x09, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, size, err := ParseRequest(b)
		switch {
		case err != nil:
			if !errors.Is(err, ErrGarbage) || b[0] <= OpPID || size != 0 {
				t.Fatalf("%x: size %d, %v", b, size, err)
			}
		case size == 0:
			if len(b) >= 4 || r != (Request{}) {
				t.Fatalf("%x taken for a part", b)
			}
		default:
			if got := r.Append(nil); !bytes.Equal(got, b[:size]) {
				t.Fatalf("%x comes back as %x", b[:size], got)
			}
			for i := range size {
				if _, n, err := ParseRequest(b[:i]); n != 0 || err != nil {
					t.Fatalf("%x: part of %d is taken for %d bytes, %v", b, i, n, err)
				}
			}
		}
	})
}
