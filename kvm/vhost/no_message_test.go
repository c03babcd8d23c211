package vhost

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"headgate/kvm/vhost/vhosttest"
	"headgate/wire/wiretest"
)

// Bytes that are no message at all.
func TestNoMessages(t *testing.T) {
	leakless(t)
	beside(t)
	good := vhosttest.Message{Request: vhosttest.GetFeatures, Flags: vhosttest.Version}.Bytes()
	fd := eventfd(t, unix.EFD_NONBLOCK)
	with := func(flags, size uint32) []byte {
		return append(append(bytes.Clone(good[:4]), vhosttest.Words(flags)...), vhosttest.Words(size)...)
	}
	for _, c := range []struct {
		name, say string
		bytes     []byte
	}{
		{"version 0", "of version 0", with(0, 0)},
		{"version 2", "of version 2", with(2, 0)},
		{"an answer", "nothing was asked", with(vhosttest.Version|vhosttest.Reply, 0)},
		{"a payload of 4 GiB", "at most 264", with(vhosttest.Version, 1<<32-1)},
		{"HTTP", "of version 3", []byte("GET / HTTP/1.1\r\n\r\n")},
	} {
		t.Run(c.name, func(t *testing.T) {
			leakless(t)
			r := connect(t, new(wiretest.Endless), vhosttest.Options{})
			if err := r.Send(c.bytes, fd); err != nil {
				t.Fatal(err)
			}
			r.stopped(c.say)
		})
	}
	// Half of anything is a front end that has gone.
	for n := range len(good) {
		leakless(t)
		r := connect(t, new(wiretest.Endless), vhosttest.Options{})
		if n > 0 {
			if err := r.Send(good[:n], fd); err != nil {
				t.Fatal(err)
			}
		}
		r.gone()
	}
	t.Run("half a message", func(t *testing.T) {
		leakless(t)
		tank := wiretest.NewTank(64)
		r := start(t, tank, vhosttest.Options{})
		if err := r.Send(with(vhosttest.Version, 200)[:12], fd); err != nil {
			t.Fatal(err)
		}
		r.read(64) // it is not waited for
		r.cancel(io.ErrClosedPipe)
		if err := r.ended(); !errors.Is(err, io.ErrClosedPipe) {
			t.Error(err)
		}
	})
}

// A message may come in pieces, and several at once.
func TestMessagesInPieces(t *testing.T) {
	leakless(t)
	r := connect(t, new(wiretest.Endless), vhosttest.Options{})
	b := vhosttest.Message{Request: vhosttest.SetVringNum, Flags: vhosttest.Version, Payload: vhosttest.Words(0, 4)}.Bytes()
	for range 3 {
		for i := range b {
			if err := r.Send(b[i : i+1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	ask := vhosttest.Message{Request: vhosttest.GetFeatures, Flags: vhosttest.Version}.Bytes()
	if err := r.Send(bytes.Repeat(ask, 20)); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if m, err := r.Recv(); err != nil || m.Request != vhosttest.GetFeatures {
			t.Fatalf("%+v, %v", m, err)
		}
	}
	r.start()
	r.read(64)
}

// A front end that asks and does not listen waits for itself alone.
func TestAFrontEndThatNeverReads(t *testing.T) {
	leakless(t)
	beside(t)
	conn, back, err := vhosttest.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s := &Server{Tap: &tap{Tap: new(wiretest.Endless)}}
	served := make(chan error, 1)
	go func() { served <- s.Serve(t.Context(), back) }()
	ask := bytes.Repeat(vhosttest.Message{Request: vhosttest.SetOwner, Flags: vhosttest.Version | vhosttest.NeedReply}.Bytes(), 1000)
	_ = conn.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	sent := 0
	for err == nil {
		err = conn.Send(ask)
		sent++
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%d messages, %v", 1000*sent, err)
	}
	conn.Close()
	select {
	case err := <-served:
		if err != nil && !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v", err)
		}
	case <-time.After(soon):
		t.Fatal("Serve does not return")
	}
}
