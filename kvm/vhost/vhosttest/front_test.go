package vhosttest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// soon bounds every wait.
const soon = 10 * time.Second

// answers are what a device like vhost-device-rng says.
var answers = map[Request]uint64{
	GetFeatures:         FeatureVersion1 | FeatureProtocolFeatures,
	GetProtocolFeatures: ProtocolMQ | ProtocolReplyAck,
	GetQueueNum:         1,
	GetVringBase:        7 << 32, // index 0, state 7
}

// said is what a front sent, and how many descriptors with it.
type said struct {
	request Request
	flags   uint32
	payload []byte
	fds     int
}

// device answers a front as it must be answered, and does nothing else.
func device(conn *net.UnixConn) <-chan said {
	all := make(chan said, 100)
	go func() {
		defer close(all)
		for {
			header, rights := make([]byte, headerSize), make([]byte, 64)
			n, oob, _, _, err := conn.ReadMsgUnix(header, rights)
			if err != nil || n != headerSize {
				return
			}
			s := said{request: Request(binary.NativeEndian.Uint32(header)), flags: binary.NativeEndian.Uint32(header[4:])}
			s.payload = make([]byte, binary.NativeEndian.Uint32(header[8:]))
			if len(s.payload) > 0 {
				if _, err := conn.Read(s.payload); err != nil {
					return
				}
			}
			messages, _ := unix.ParseSocketControlMessage(rights[:oob])
			for _, m := range messages {
				fds, _ := unix.ParseUnixRights(&m)
				s.fds += len(fds)
			}
			discard(rights[:oob])
			value, ok := answers[s.request]
			if ok || s.flags&NeedReply != 0 {
				if _, err := conn.Write(Message{s.request, Version | Reply, Longs(value)}.Bytes()); err != nil {
					return // the front has hung up
				}
			}
			all <- s
		}
	}()
	return all
}

func newFront(t *testing.T, opt Options) *Front {
	t.Helper()
	f, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	t.Cleanup(cancel)
	return ctx
}

var again = []Request{
	GetFeatures, SetVringCall, SetVringErr, SetVringCall, SetFeatures, SetMemTable,
	SetVringNum, SetVringBase, SetVringAddr, SetVringKick, SetVringEnable, SetVringCall,
}

func TestStartSaysWhatQEMUSays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sock")
	f := newFront(t, Options{})
	if err := f.Listen(path); err != nil {
		t.Fatal(err)
	}
	first := slices.Concat([]Request{GetFeatures, GetProtocolFeatures, SetProtocolFeatures, GetQueueNum, SetOwner}, again)
	for _, want := range [][]Request{first, again} {
		conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		all := device(conn)
		if err := f.Accept(within(t)); err != nil {
			t.Fatal(err)
		}
		if err := f.Start(within(t)); err != nil {
			t.Fatal(err)
		}
		if base, err := f.Stop(); err != nil || base != 7 {
			t.Fatalf("base %d, %v", base, err)
		}
		conn.Close()
		<-f.Gone()
		var got []Request
		for s := range all {
			got = append(got, s.request)
			fds := map[Request]int{SetVringCall: 1, SetVringErr: 1, SetVringKick: 1, SetMemTable: 1}[s.request]
			if s.fds != fds {
				t.Errorf("request %d came with %d descriptors, want %d", s.request, s.fds, fds)
			}
			if acks := s.flags&NeedReply != 0; acks != (s.request == SetMemTable) || s.flags&3 != Version {
				t.Errorf("request %d has flags %#x", s.request, s.flags)
			}
			if s.request == SetVringBase && len(want) == len(again) && !bytes.Equal(s.payload, Words(0, 7)) {
				t.Errorf("a stopped ring was started at % x", s.payload)
			}
		}
		want = append(slices.Clone(want), SetVringEnable, GetVringBase)
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

func TestUsedEndsWithItsContext(t *testing.T) {
	f := newFront(t, Options{})
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, cancel)
		if _, _, err := f.Used(ctx); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
}

func TestServeAndReadEndWhenTheDeviceDoesNot(t *testing.T) {
	conn, back, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	all := device(back)
	f := newFront(t, Options{Ack: true})
	if err := f.Use(conn); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- f.Serve(ctx) }()
	for s := range all {
		if s.request == SetVringEnable {
			break
		}
	}
	cancel()
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	for range all { // it has hung up
	}
	back.Close()
}

func TestAFrontNoticesARefusal(t *testing.T) {
	conn, back, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	f := newFront(t, Options{})
	if err := f.Use(conn); err != nil {
		t.Fatal(err)
	}
	f.acks = true
	go func() {
		_, _ = back.Write(Message{SetMemTable, Version | Reply, Longs(1)}.Bytes())
	}()
	if err := f.SetMemTable(f.Region()); err == nil {
		t.Error("it was taken for done")
	}
	back.Close()
	if err := f.SetMemTable(f.Region()); err == nil {
		t.Error("a device that is gone took it")
	}
}
