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

	// longest is what any session may take, with a host that has come and has no
	// bytes, or has too many.
	longest = 5 * time.Second

	// brief is how long to look for more where all that there was has been read.
	brief = 5 * time.Millisecond

	// sending is how long a frame may take to be written. The ring has room for it, so
	// that this is only for a guest that is kept from running meanwhile.
	sending = 250 * time.Millisecond
)

var past = time.Unix(1, 0)

// session is one ring, from its offer to its end.
type session struct {
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

// offer opens a session.
func offer(t *tie, path string, listen func(*tie, string) (ring, error)) (*session, error) {
	id, err := t.Read("domid")
	if err != nil {
		return nil, err
	}
	r, err := listen(t, path)
	if err != nil {
		_ = t.Remove(path) // of a guestd that was killed: nobody is to connect to that
		return nil, err
	}
	return &session{ring: r, tie: t, path: path, domid: id, since: time.Now()}, nil
}

// ours says whether the offer stands. After a resume the guest is another domain; or
// it has its number again, by chance, on another host, and nothing else of before. It
// is never so that both the number and the nodes are there.
func (s *session) ours() bool {
	id, err := s.tie.Read("domid")
	if err != nil || id != s.domid {
		return false
	}
	_, err = vchan.ReadOffer(s.tie.Conn, s.path)
	return err == nil
}

var errResumed = errors.New("the guest was resumed")

// forsake ends receive: the host cannot come, or come back, to this ring.
func (s *session) forsake() {
	s.moot.Store(true)
	_ = s.ring.SetReadDeadline(past)
}

// finish ends receive, because all is done.
func (s *session) finish() {
	s.done.Store(true)
	_ = s.ring.SetReadDeadline(past)
}

// receive returns what came, or the error that ended the session.
func (s *session) receive(in *feed.Inbox) (feed.Batch, error) {
	n, room := 0, 0
	b, err := in.Drain(func(buf []byte) (int, error) {
		if n < room { // the read before took all that there was
			return 0, nil
		}
		var err error
		n, err = s.read(buf, room == 0)
		room = len(buf)
		return n, err
	})
	if s.moot.Load() {
		return feed.Batch{}, errResumed // what came may be from before
	}
	if b.Read > 0 || err == nil {
		return b, nil // an error comes again
	}
	return b, err
}

// read waits for the first bytes; for more it only looks.
func (s *session) read(buf []byte, first bool) (int, error) {
	for {
		limit := s.until()
		if !first {
			limit = time.Now().Add(brief)
		}
		if err := s.ring.SetReadDeadline(limit); err != nil {
			return 0, err
		}
		if s.moot.Load() || s.done.Load() { // they say so before they set their deadline
			return 0, os.ErrDeadlineExceeded
		}
		n, err := s.ring.Read(buf)
		switch {
		case n > 0:
			s.last = time.Now()
		case !errors.Is(err, os.ErrDeadlineExceeded):
		case !first:
			return 0, nil
		case time.Now().Before(s.until()) && !s.moot.Load() && !s.done.Load():
			continue // the host has come by now
		}
		return n, err
	}
}

// until is when the session ends if nothing comes.
func (s *session) until() time.Time {
	end := s.since.Add(longest)
	switch {
	case !s.last.IsZero():
		if still := s.last.Add(quiet); still.Before(end) {
			return still
		}
	case !s.ring.Met():
		return s.since.Add(settle)
	}
	return end
}

func (s *session) send(f *feed.Frame) error {
	b, err := feed.Append(nil, f)
	if err != nil {
		return err
	}
	s.sender.Lock()
	defer s.sender.Unlock()
	if err := s.ring.SetWriteDeadline(time.Now().Add(sending)); err != nil {
		return ErrAway // it was closed
	}
	if _, err := s.ring.Write(b); err != nil {
		return ErrAway // of half a frame the host finds the end by itself
	}
	return nil
}

// end gives the ring back; what was written stays for the host to read. After a
// resume, which shows before its signal comes, the ring is left alone.
func (s *session) end() {
	if s.moot.Load() || !s.ours() {
		_ = s.ring.Abandon()
		return
	}
	_ = s.ring.Close()
}
