package kvm

import (
	"io"
	"net"
	"testing"

	"headgate/wire/feed"
	"headgate/wire/pipe"
)

func TestPushReachesGuestdAlone(t *testing.T) {
	kinds(t, func(t *testing.T, kind Kind) {
		r := run(t, kind, 1<<16)
		if r.Push() {
			t.Fatal("pushed to nobody")
		}
		conn := r.dial(t)
		r.expect(t, pipe.Connected)
		if kind != Port {
			if r.Push() {
				t.Fatal("pushed to one that cannot be pushed to")
			}
			return
		}
		first := nextFrame(t, conn) // the one that every connection begins with
		if !r.Push() {
			t.Fatal("not pushed")
		}
		second := nextFrame(t, conn)
		if second.Type != feed.TypePush || len(second.Data) != pushed || second.Epoch == first.Epoch {
			t.Fatalf("%v with %d bytes, epochs %x, %x", second.Type, len(second.Data), first.Epoch, second.Epoch)
		}
		conn.Close()
		r.expect(t, pipe.Disconnected)
		if r.Push() {
			t.Fatal("pushed to one that has left")
		}
	})
}

// nextFrame reads a push, which is as long as the one before and after it.
func nextFrame(t *testing.T, conn net.Conn) feed.Frame {
	t.Helper()
	like, err := feed.Append(nil, &feed.Frame{Type: feed.TypePush, Data: make([]byte, pushed)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, like); err != nil {
		t.Fatal(err)
	}
	frame, _, err := (&feed.Decoder{Accept: feed.ToGuest}).Next(like)
	if err != nil {
		t.Fatal(err)
	}
	return frame
}
