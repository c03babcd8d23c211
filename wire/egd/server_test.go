package egd

import (
	"net"
	"testing"

	"headgate/wire/wiretest"
)

func TestOpcodes(t *testing.T) {
	for _, tt := range []struct {
		name  string
		level int
		in    []byte
		raw   []byte // the answer's frame, where it has one
		bytes int    // then bytes of the tap
	}{
		{"level", 64, []byte{0x00}, []byte{0, 0, 2, 0}, 0},
		{"level of an empty tap", 0, []byte{0x00}, []byte{0, 0, 0, 0}, 0},
		{"level beyond 32 bits", 1 << 40, []byte{0x00}, []byte{0xff, 0xff, 0xff, 0xf8}, 0},
		{"nonblock", 1000, []byte{0x01, 255}, []byte{255}, 255},
		{"nonblock, some", 5, []byte{0x01, 16}, []byte{5}, 5},
		{"nonblock, none", 0, []byte{0x01, 16}, []byte{0}, 0},
		{"nonblock, none asked", 9, []byte{0x01, 0}, []byte{0}, 0},
		{"read", 1000, []byte{0x02, 64}, nil, 64},
		{"read 255", 1000, []byte{0x02, 255}, nil, 255},
		{"read 600 as qemu does", 1000, []byte{0x02, 0xff, 0x02, 0xff, 0x02, 0x5a}, nil, 600},
		{"read none, pid", 1000, []byte{0x02, 0, 0x04}, []byte("\x034_2"), 0},
		{"write, pid", 1000, []byte{0x03, 0, 16, 2, 0xee, 0xff, 0x04}, []byte("\x034_2"), 0},
		{"write nothing, pid", 1000, []byte{0x03, 0, 0, 0, 0x04}, []byte("\x034_2"), 0},
		{"pid", 0, []byte{0x04}, []byte("\x034_2"), 0},
	} {
		for carrier, dial := range carriers {
			t.Run(tt.name+"/"+carrier, func(t *testing.T) {
				p := dial(t, &Server{Tap: wiretest.NewTank(tt.level), PID: "4_2"})
				p.write(tt.in...)
				p.raw(tt.raw...)
				p.want(tt.bytes)
				p.write(0x04) // nothing more came before this
				p.raw([]byte("\x034_2")...)
				p.close()
			})
		}
	}
}

// carriers are the ways to a server: with answers written by the reader, and,
// over a pipe without a descriptor, all by the writer.
var carriers = map[string]func(testing.TB, *Server) *pair{
	"socket": dial,
	"pipe":   dialPipe,
}

func dialPipe(t testing.TB, s *Server) *pair {
	ours, theirs := net.Pipe()
	return start(t, s, ours, theirs)
}

func TestRequestsSplitAnywhere(t *testing.T) {
	in := []byte{
		0x02, 7, 0x00, 0x03, 1, 2, 4, 0x04, 0x02, 0x01, 0x55, 0x01, 3,
		0x02, 255, 0x02, 1, 0x03, 0, 0, 0, 0x04, 0x02, 2,
	}
	check := func(p *pair) {
		p.want(7)
		p.raw(0xff, 0xff, 0xff, 0xf8)
		p.raw(3)
		p.want(3)
		p.want(256)
		p.raw(1, 'x')
		p.want(2)
		p.close()
	}
	for i := 1; i < len(in); i++ {
		p := dialPipe(t, &Server{Tap: new(wiretest.Endless), PID: "x"})
		go func() { // a write on a pipe returns when the server has read all of it
			_, _ = p.conn.Write(in[:i])
			_, _ = p.conn.Write(in[i:])
		}()
		check(p)
	}
	for _, dial := range carriers {
		count := new(Counters)
		p := dial(t, &Server{Tap: new(wiretest.Endless), PID: "x", Count: count})
		go func() {
			for _, b := range in {
				_, _ = p.conn.Write([]byte{b})
			}
		}()
		check(p)
		if r, w := count.Requests.Load(), count.Pushed.Load(); r != 7 || w != 2 {
			t.Errorf("counted %d requests, %d pushed; want 7, 2", r, w)
		}
		if n := count.BytesOut.Load(); n != 7+4+1+3+256+2+2 {
			t.Errorf("counted %d bytes out", n)
		}
	}
}

func TestAnswersKeepTheirOrderBehindADryTap(t *testing.T) {
	for _, dial := range carriers {
		tank := wiretest.NewTank(10)
		p := dial(t, &Server{Tap: tank, PID: "x"})
		p.write(0x02, 64, 0x00, 0x02, 3, 0x01, 9, 0x04, 0x02, 255)
		p.want(10)
		dry(t, tank)
		p.write(0x02, 255, 0x02, 90, 0x01, 2)
		tank.Pour(53)
		p.want(53)
		dry(t, tank)
		tank.Pour(1 + 3 + 4)
		p.want(1)
		p.write(0x04)
		p.raw(0, 0, 0, 7*8)
		p.want(3)
		p.raw(4)
		p.want(4)
		p.raw(1, 'x')
		tank.Pour(602)
		p.want(600)
		p.raw(2)
		p.want(2)
		p.raw(1, 'x')
		p.write(0x02, 1) // nothing is owed: the reader answers again
		tank.Pour(1)
		p.want(1)
		p.close()
	}
}

func TestPushAfterAccept(t *testing.T) {
	for _, dial := range carriers {
		tank := wiretest.NewTank(40)
		p := dial(t, &Server{Tap: tank, Push: 64})
		p.want(40)
		p.write(0x02, 64)
		dry(t, tank)
		tank.Pour(1000)
		p.want(24 + 64)
		p.close()
		if got := tank.Given(); got != 128 {
			t.Errorf("%d bytes taken, want 128", got)
		}
	}
}

func TestClient(t *testing.T) {
	count := new(Counters)
	tank := wiretest.NewTank(100_000)
	p := dial(t, &Server{Tap: tank, PID: "1234", Count: count})
	for _, n := range []int{0, 1, 64, 255, 256, 600, 16 * 255, 16*255 + 1, 50_000} {
		got := make([]byte, n)
		if m, err := p.client.Read(got); m != n || err != nil {
			t.Fatalf("read %d: %d, %v", n, m, err)
		}
		p.next(got)
	}
	if pid, err := p.client.PID(); pid != "1234" || err != nil {
		t.Errorf("pid %q, %v", pid, err)
	}
	if n, err := p.client.Write(make([]byte, 600)); n != 600 || err != nil {
		t.Errorf("write: %d, %v", n, err)
	}
	left := uint32(100_000 - p.at)
	if bits, err := p.client.Level(); bits != 8*left || err != nil {
		t.Errorf("level %d, %v; want %d", bits, err, 8*left)
	}
	got := make([]byte, 300)
	n, err := p.client.ReadNonblock(got)
	if n != 255 || err != nil {
		t.Errorf("nonblock: %d, %v", n, err)
	}
	p.next(got[:n])
	if got := count.Pushed.Load(); got != 3 {
		t.Errorf("%d frames pushed, want 3", got)
	}
	p.close()
	if n, err := p.client.Read(got); n != 0 || err == nil {
		t.Errorf("read after close: %d, %v", n, err)
	}
}

func TestClientRefusesMoreThanItAsked(t *testing.T) {
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
	go func() {
		_, _ = theirs.Read(make([]byte, 2))
		_, _ = theirs.Write([]byte{200})
	}()
	if n, err := NewClient(ours).ReadNonblock(make([]byte, 10)); n != 0 || err == nil {
		t.Errorf("got %d, %v", n, err)
	}
}
