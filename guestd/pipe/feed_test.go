//go:build linux

package pipe

import (
	"io"
	"os"
	"testing"
	"time"

	"headgate/wire/feed"
)

// pushOf is what a host begins with.
func pushOf(text string) []byte { return frameOf(feed.TypePush, text) }

func frameOf(typ feed.Type, text string) []byte {
	b, _ := feed.Append(nil, &feed.Frame{Type: typ, Epoch: feed.Epoch{text[0]}, Data: []byte(text), Bits: uint32(8 * len(text))})
	return b
}

// answer answers a request.
func answer(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if _, err := w.Write(frameOf(feed.TypeGrant, text)); err != nil {
		t.Error(err)
	}
}

func push(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if _, err := w.Write(pushOf(text)); err != nil {
		t.Error(err)
	}
}

// received waits for one batch, and for this text alone.
func received(t *testing.T, p Pipe, text string) {
	t.Helper()
	b := batch(t, p)
	if string(b.Data) != text || b.Fresh != 0 || !b.Pushed || b.Bits != 8*len(text) {
		t.Fatalf("received %+v, want %q", b, text)
	}
	p.Wipe()
}

func batch(t *testing.T, p Pipe) feed.Batch {
	t.Helper()
	got := make(chan arrival, 1)
	go func() {
		b, err := p.Receive()
		got <- arrival{b, err}
	}()
	select {
	case a := <-got:
		if a.err != nil {
			t.Fatal(a.err)
		}
		return a.Batch
	case <-time.After(patience):
		t.Fatal("nothing came")
		return feed.Batch{}
	}
}

// arrival is what a Receive returned.
type arrival struct {
	feed.Batch
	err error
}

// patience bounds every wait for something that is to happen.
const patience = 5 * time.Second

// frames reads so many frames of the guest's.
func frames(t *testing.T, r *os.File, want int) (got []feed.Frame) {
	t.Helper()
	_ = r.SetReadDeadline(time.Now().Add(patience))
	d := feed.Decoder{Accept: feed.ToHost}
	var b []byte
	for buf := make([]byte, 512); len(got) < want; {
		n, err := r.Read(buf)
		if err != nil {
			t.Errorf("%d frames of %d: %v", len(got), want, err)
			return append(got, make([]feed.Frame, want)...)
		}
		for b = append(b, buf[:n]...); ; {
			f, used, err := d.Next(b)
			b = b[used:]
			if err != nil {
				break
			}
			got = append(got, f)
		}
	}
	return got
}
