package xen

import (
	"io"
	"net"
	"path/filepath"
	"testing"

	"headgate/wire/pipe/pipetest"
	"headgate/xen/evtchn"
	"headgate/xen/grant"
	"headgate/xen/vchan"
)

// dock is where a Ring connects to rings that are in memory.
type dock struct {
	ends  chan net.Conn // the guest's ends
	asked chan Offer
}

func newDock() *dock {
	return &dock{ends: make(chan net.Conn, 1000), asked: make(chan Offer, 1000)}
}

func (d *dock) connect(domid uint16, o vchan.Offer) (io.ReadWriteCloser, error) {
	ours, theirs := net.Pipe()
	d.asked <- Offer{Domain: domid, Offer: o}
	d.ends <- theirs
	return ours, nil
}

func offer(domid uint16, number int, generation uint64) Offer {
	return Offer{
		Domain:     domid,
		Offer:      vchan.Offer{Ref: grant.Ref(number), Port: evtchn.Port(number)},
		Generation: generation,
	}
}

func TestARingKeepsTheContract(t *testing.T) {
	pipetest.Run(t, func(_ *testing.T, o pipetest.Options) pipetest.Subject {
		d := newDock()
		r := newRing(Options{Tap: o.Tap, Notify: o.Notify}, d.connect)
		generation := uint64(0)
		return pipetest.Subject{Pipe: r, Dial: func(*testing.T) io.ReadWriteCloser {
			generation++
			r.Offer(offer(5, 9, generation))
			return <-d.ends
		}}
	})
}

func TestAChannelKeepsTheContract(t *testing.T) {
	pipetest.Run(t, func(t *testing.T, o pipetest.Options) pipetest.Subject {
		path := filepath.Join(t.TempDir(), "channel.sock")
		c := NewChannel(path, Options{Tap: o.Tap, Notify: o.Notify})
		var l net.Listener
		t.Cleanup(func() {
			if l != nil {
				l.Close()
			}
		})
		return pipetest.Subject{Pipe: c, Dial: func(t *testing.T) io.ReadWriteCloser {
			if l == nil { // the backend comes later than the pipe
				l = listen(t, path)
			}
			conn, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			return conn
		}}
	})
}

func listen(t *testing.T, path string) net.Listener {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	return l
}
