package vhost

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"headgate/kvm/vhost/vhosttest"
	"headgate/wire/wiretest"
)

// FuzzMessage reads headers and memory tables, and holds them to what vhost-user.rst
// says of them.
func FuzzMessage(f *testing.F) {
	payload, _ := vhosttest.MemTable(vhosttest.Region{Guest: 1, Size: 2, User: 3, Offset: 4}, vhosttest.Region{Guest: 5, Size: 6, User: 7, Offset: 8})
	f.Add(vhosttest.Message{Request: vhosttest.SetMemTable, Flags: vhosttest.Version, Payload: payload}.Bytes(), uint8(2))
	f.Add(vhosttest.Message{Request: vhosttest.SetVringKick, Flags: vhosttest.Version | vhosttest.NeedReply, Payload: vhosttest.Longs(vhosttest.NoFD)}.Bytes(), uint8(0))
	f.Add(vhosttest.Message{Request: vhosttest.GetFeatures, Flags: vhosttest.Version | vhosttest.Reply}.Bytes(), uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, fds uint8) {
		if len(b) < headerSize {
			return
		}
		var m message
		size, err := m.header(b[:headerSize])
		word := binary.NativeEndian.Uint32
		request, flags, n := word(b), word(b[4:]), word(b[8:])
		if good := flags&3 == 1 && flags&4 == 0 && n <= maxPayload; good != (err == nil) {
			t.Fatalf("flags %#x, size %d: %v", flags, n, err)
		}
		if err != nil {
			return
		}
		if m.request != request || size != int(n) || m.needsReply() != (flags&8 != 0) {
			t.Fatalf("%+v, %d of %x", m, size, b[:headerSize])
		}
		rest := b[headerSize:]
		if len(rest) < size {
			return
		}
		m.payload, m.fds = rest[:size], make([]int, fds)
		regions, err := m.table()
		good := size >= 8+32 && size == 8+32*int(fds) && word(rest) == uint32(fds)
		if good != (err == nil) {
			t.Fatalf("a table of %d bytes that says %d, with %d files: %v", size, word(rest), fds, err)
		}
		for i, r := range regions {
			at := rest[8+32*i:]
			long := binary.NativeEndian.Uint64
			if want := (memoryRegion{long(at), long(at[8:]), long(at[16:]), long(at[24:])}); r != want {
				t.Fatalf("region %d: %+v, want %+v", i, r, want)
			}
		}
	})
}

// script is what a front end says: messages, one after another, each with bytes before
// it that say what comes with it.
type script struct{ b []byte }

// A message in a script: how many descriptors, which, how many bytes.
const scriptHeader = 3

func (s *script) add(m vhosttest.Message, kinds ...byte) {
	var which byte
	if len(kinds) > 0 {
		which = kinds[0]
	}
	b := m.Bytes()
	s.b = append(append(s.b, byte(len(kinds)), which, byte(len(b))), b...)
}

// Kinds of descriptors in a script.
const (
	fuzzMemory = iota
	fuzzShortMemory
	fuzzKick
	fuzzCall
	fuzzPipe
	fuzzKinds
)

// fuzzFront is what a script is played with. Its descriptors are made once.
type fuzzFront struct {
	*vhosttest.Front
	fds    [fuzzKinds]int
	before holding // when the first script was played: then the fuzzer has what it needs
}

func newFuzzFront(f *testing.F) *fuzzFront {
	front, err := vhosttest.New(vhosttest.Options{EventIdx: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(front.Close)
	short, err := vhosttest.NewMemory(4096)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { short.Close() })
	var pair [2]int
	if err := unix.Pipe2(pair[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { unix.Close(pair[0]); unix.Close(pair[1]) })
	conn, back, err := vhosttest.Pair() // the runtime has its poller
	if err != nil {
		f.Fatal(err)
	}
	conn.Close()
	back.Close()
	takeBell().give() // what one needs stays
	return &fuzzFront{Front: front, fds: [...]int{front.Memory.FD, short.FD, front.KickFD(), front.CallFD(), pair[0]}}
}

// begun is a script that starts the ring.
func (ff *fuzzFront) begun(flags uint32) *script {
	s := &script{}
	say := func(request vhosttest.Request, payload []byte, kinds ...byte) {
		s.add(vhosttest.Message{Request: request, Flags: vhosttest.Version | flags, Payload: payload}, kinds...)
	}
	say(vhosttest.GetFeatures, nil)
	say(vhosttest.SetOwner, nil)
	say(vhosttest.SetFeatures, vhosttest.Longs(vhosttest.FeatureVersion1|vhosttest.FeatureEventIdx))
	table, _ := vhosttest.MemTable(ff.Region())
	say(vhosttest.SetMemTable, table, fuzzMemory)
	say(vhosttest.SetVringNum, vhosttest.Words(0, uint32(ff.Size)))
	say(vhosttest.SetVringBase, vhosttest.Words(0, 0))
	say(vhosttest.SetVringAddr, ff.VringAddr())
	say(vhosttest.SetVringCall, vhosttest.Longs(0), fuzzCall)
	say(vhosttest.SetVringKick, vhosttest.Longs(0), fuzzKick)
	return s
}

// play says it all, in pieces, and then hangs up.
func (ff *fuzzFront) play(t *testing.T, conn vhosttest.Conn, b []byte) {
	_ = conn.SetDeadline(time.Now().Add(soon))
	for len(b) >= scriptHeader {
		count, which, n := int(b[0]%12), int(b[1]), int(b[2])
		b = b[scriptHeader:]
		n = min(n, len(b))
		fds := make([]int, count)
		for i := range fds {
			fds[i] = ff.fds[(which+i)%fuzzKinds]
		}
		if n == 0 {
			_ = ff.ForceKick()
			continue
		}
		if err := conn.Send(b[:n], fds...); err != nil {
			if errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			return // it has hung up
		}
		b = b[n:]
	}
}

// FuzzSession has a front end say anything, with any descriptors, over rings in which
// there is anything. Whatever it is, the device ends when the front end hangs up, and
// leaves nothing.
func FuzzSession(f *testing.F) {
	ff := newFuzzFront(f)
	ring := bytes.Clone(ff.Memory.Bytes[:256])
	for _, flags := range []uint32{0, vhosttest.NeedReply} {
		s := ff.begun(flags)
		f.Add(s.b, ring, ring)
		s.add(vhosttest.Message{Request: vhosttest.GetVringBase, Flags: vhosttest.Version, Payload: vhosttest.Words(0, 0)})
		s.b = append(s.b, ff.begun(flags).b...)
		f.Add(s.b, ring, ring)
		s = ff.begun(flags)
		s.b = append(s.b, 0, 0, 0) // a kick
		r := ff.Ring
		if _, err := r.Post(vhosttest.Buffer(ff.Data, 64), vhosttest.Buffer(ff.Data+100, 600)); err != nil {
			f.Fatal(err)
		}
		posted := bytes.Clone(ff.Memory.Bytes[:256])
		f.Add(s.b, posted, ring)
		s.add(vhosttest.Message{Request: vhosttest.SetVringEnable, Flags: vhosttest.Version, Payload: vhosttest.Words(0, 1)})
		table, _ := vhosttest.MemTable(ff.Region(), ff.Region())
		s.add(vhosttest.Message{Request: vhosttest.SetMemTable, Flags: vhosttest.Version, Payload: table}, fuzzMemory, fuzzShortMemory)
		f.Add(s.b, posted, ring)
	}
	f.Fuzz(func(t *testing.T, says, rings, used []byte) {
		if ff.before == (holding{}) {
			ff.before = held(t)
		}
		m := ff.Memory.Bytes
		clear(m)
		copy(m[:ff.Ring.Used], rings)
		copy(m[ff.Ring.Used:ff.Data], used)
		conn, back, err := vhosttest.Pair()
		if err != nil {
			t.Fatal(err)
		}
		source := &tap{Tap: new(wiretest.Endless)}
		s := &Server{Tap: source}
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = s.Serve(context.Background(), back) // for whatever reason it ends
		}()
		heard := make(chan struct{})
		go func() {
			defer close(heard)
			for {
				if _, err := conn.Recv(); err != nil {
					return
				}
			}
		}()
		ff.play(t, conn, says)
		_ = conn.CloseWrite()
		select {
		case <-served:
		case <-time.After(soon):
			t.Fatal("Serve does not return")
		}
		conn.Close()
		<-heard
		if after := held(t); after != ff.before {
			t.Fatalf("%+v before, %+v after", ff.before, after)
		}
	})
}
