//go:build linux

package pipe

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"headgate/wire/feed"
	"headgate/xen/vchan"
)

const (
	// settle is how long a host may take to come to a new ring before it counts as
	// away.
	settle = time.Second

	// quiet is how long the ring stays after the last byte, where it does not end
	// because all is done.
	quiet = 250 * time.Millisecond

	// longest is what any visit may take, with a host that has come and has no
	// bytes, or has too many.
	longest = 5 * time.Second

	// brief is how long to look for more where all that there was has been read.
	brief = 5 * time.Millisecond

	// sending is how long a frame may take to be written. The ring has room for it, so
	// that this is only for a guest that is kept from running meanwhile.
	sending = 250 * time.Millisecond
)

var past = time.Unix(1, 0)

// visit is one ring, from its offer to its end.
type visit struct {
	ring   ring
	tie    *tie
	path   string
	domid  string // this guest's, from before the ring
	since  time.Time
	last   time.Time // a byte came; of the one that receives
	moot   atomic.Bool
	done   atomic.Bool // all was asked, answered and reported
	sender sync.Mutex
}

// offer opens a visit.
func offer(t *tie, path string, listen func(*tie, string) (ring, error)) (*visit, error) {
	id, err := t.Read("domid")
	if err != nil {
		return nil, err
	}
	r, err := listen(t, path)
	if err != nil {
		_ = t.Remove(path) // of a guestd that was killed: nobody is to connect to that
		return nil, err
	}
	return &visit{ring: r, tie: t, path: path, domid: id, since: time.Now()}, nil
}

// ours says whether the offer stands. After a resume the guest is another domain; or
// it has its number again, by chance, on another host, and nothing else of before. It
// is never so that both the number and the nodes are there.
func (v *visit) ours() bool {
	id, err := v.tie.Read("domid")
	if err != nil || id != v.domid {
		return false
	}
	_, err = vchan.ReadOffer(v.tie.Conn, v.path)
	return err == nil
}

var errResumed = errors.New("the guest was resumed")

// forsake ends receive: the host cannot come, or come back, to this ring.
func (v *visit) forsake() {
	v.moot.Store(true)
	_ = v.ring.SetReadDeadline(past)
}

// finish ends receive, because all is done.
func (v *visit) finish() {
	v.done.Store(true)
	_ = v.ring.SetReadDeadline(past)
}

// receive returns what came, or the error that ended the visit.
func (v *visit) receive(in *feed.Inbox) (feed.Batch, error) {
	n, room := 0, 0
	b, err := in.Drain(func(buf []byte) (int, error) {
		if n < room { // the read before took all that there was
			return 0, nil
		}
		var err error
		n, err = v.read(buf, room == 0)
		room = len(buf)
		return n, err
	})
	if v.moot.Load() {
		return feed.Batch{}, errResumed // what came may be from before
	}
	if b.Read > 0 || err == nil {
		return b, nil // an error comes again
	}
	return b, err
}

// read waits for the first bytes; for more it only looks.
func (v *visit) read(buf []byte, first bool) (int, error) {
	for {
		limit := v.until()
		if !first {
			limit = time.Now().Add(brief)
		}
		if err := v.ring.SetReadDeadline(limit); err != nil {
			return 0, err
		}
		if v.moot.Load() || v.done.Load() { // they say so before they set their deadline
			return 0, os.ErrDeadlineExceeded
		}
		n, err := v.ring.Read(buf)
		switch {
		case n > 0:
			v.last = time.Now()
		case !errors.Is(err, os.ErrDeadlineExceeded):
		case !first:
			return 0, nil
		case time.Now().Before(v.until()) && !v.moot.Load() && !v.done.Load():
			continue // the host has come by now
		}
		return n, err
	}
}

// until is when the visit ends if nothing comes.
func (v *visit) until() time.Time {
	end := v.since.Add(longest)
	switch {
	case !v.last.IsZero():
		if still := v.last.Add(quiet); still.Before(end) {
			return still
		}
	case !v.ring.Met():
		return v.since.Add(settle)
	}
	return end
}

func (v *visit) send(f *feed.Frame) error {
	b, err := feed.Append(nil, f)
	if err != nil {
		return err
	}
	v.sender.Lock()
	defer v.sender.Unlock()
	if err := v.ring.SetWriteDeadline(time.Now().Add(sending)); err != nil {
		return ErrAway // it was closed
	}
	if _, err := v.ring.Write(b); err != nil {
		return ErrAway // of half a frame the host finds the end by itself
	}
	return nil
}

// end gives the ring back; what was written stays for the host to read. After a
// resume, which shows before its signal comes, the ring is left alone.
func (v *visit) end() {
	if v.moot.Load() || !v.ours() {
		_ = v.ring.Abandon()
		return
	}
	_ = v.ring.Close()
}
