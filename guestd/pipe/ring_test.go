//go:build linux

package pipe

import (
	"errors"
	"io"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"headgate/wire/feed"
	"headgate/xen/grant"
	"headgate/xen/vchan"
	"headgate/xen/xenstore"
	"headgate/xen/xenstore/storetest"
)

// fakeRing is a ring over a socket pair.
type fakeRing struct {
	*os.File
	g         *ringGuest
	offer     vchan.Offer
	met       atomic.Bool
	corrupt   atomic.Bool
	reads     atomic.Int32
	abandoned atomic.Bool
}

func (r *fakeRing) Read(p []byte) (int, error) {
	r.reads.Add(1)
	n, err := r.File.Read(p)
	if errors.Is(err, io.EOF) && r.corrupt.Load() {
		err = vchan.ErrCorrupt
	}
	return n, err
}

func (r *fakeRing) Met() bool { return r.met.Load() }

func (r *fakeRing) Close() error {
	if s, err := r.g.use(); err == nil {
		if now, err := vchan.ReadOffer(s.Conn, RingPath); err == nil && now == r.offer {
			_ = s.Remove(RingPath)
		}
		s.leave()
	}
	r.g.closed.Add(1)
	return r.File.Close()
}

func (r *fakeRing) Abandon() error {
	r.abandoned.Store(true)
	return r.File.Close()
}

// ringGuest is a guest of Xen's whose rings are fakes; its host is the test.
type ringGuest struct {
	*store
	xen    *storetest.Store
	pipe   *sessions
	came   chan arrival // what was received, while feed runs
	hosts  chan host    // one for each ring
	closed atomic.Int32
	offers atomic.Int32
	fail   atomic.Int32 // so many offers fail
	meant  func()       // called when a ring is there and its nodes are not
}

type host struct {
	*os.File
	ring *fakeRing
}

var errNoPages = errors.New("gntalloc has no page left")

// newRingGuest has its first ring offered, as soon as somebody receives.
func newRingGuest(t *testing.T) *ringGuest {
	t.Helper()
	g := &ringGuest{xen: storetest.New(), hosts: make(chan host, 100), came: make(chan arrival, 100), meant: func() {}}
	t.Cleanup(g.xen.Close)
	g.xen.Introduce(5)
	g.store = &store{dial: func() (*xenstore.Conn, error) { return g.xen.Connect(5), nil }}
	p, err := newSessions(g.store, RingPath, g.listen)
	if err != nil {
		t.Fatal(err)
	}
	g.pipe = p
	t.Cleanup(func() { _ = p.Close() })
	return g
}

// feed receives until the pipe ends.
func (g *ringGuest) feed(t *testing.T) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			b, err := g.pipe.Receive()
			b.Data = append([]byte(nil), b.Data...)
			g.pipe.Wipe()
			g.came <- arrival{b, err}
			if err != nil && !errors.Is(err, ErrAway) && !errors.Is(err, ErrDry) {
				return
			}
		}
	}()
	t.Cleanup(func() { _ = g.pipe.Close(); <-done })
}

// got waits for the next arrival.
func (g *ringGuest) got(t *testing.T) arrival {
	t.Helper()
	select {
	case a := <-g.came:
		return a
	case <-time.After(patience):
		t.Fatal("nothing came")
		return arrival{}
	}
}

// text waits for these bytes.
func (g *ringGuest) text(t *testing.T, text string) feed.Batch {
	t.Helper()
	a := g.got(t)
	if a.err != nil || string(a.Data) != text || a.Fresh != 0 || a.Bits != 8*len(text) {
		t.Fatalf("received %+v, want %q", a, text)
	}
	return a.Batch
}

func (g *ringGuest) listen(s *tie, path string) (ring, error) {
	if g.fail.Add(-1) >= 0 {
		return nil, errNoPages
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	r := &fakeRing{File: os.NewFile(uintptr(fds[0]), "ring"), g: g, offer: vchan.Offer{Ref: 8, Port: 40}}
	r.offer.Ref += grant.Ref(g.offers.Add(1)) // a guest's numbers come again, but not at once
	h := host{os.NewFile(uintptr(fds[1]), "host"), r}
	g.meant()
	if err := s.Write(path+"/ring-ref", strconv.Itoa(int(r.offer.Ref))); err != nil {
		return nil, err
	}
	if err := s.Write(path+"/event-channel", strconv.Itoa(int(r.offer.Port))); err != nil {
		return nil, err
	}
	g.hosts <- h
	return r, nil
}

// host waits for the next ring.
func (g *ringGuest) host(t *testing.T) host {
	t.Helper()
	select {
	case h := <-g.hosts:
		t.Cleanup(func() { _ = h.Close() })
		return h
	case <-time.After(patience):
		t.Fatal("no ring was offered")
		return host{}
	}
}

// bell is what hostd does to have the guest offer a ring.
func (g *ringGuest) bell(t *testing.T, domid string) {
	t.Helper()
	c := g.xen.Connect(0)
	defer func() { _ = c.Close() }()
	if err := c.Write("/local/domain/"+domid+"/"+BellPath, strconv.FormatInt(time.Now().UnixNano(), 10)); err != nil {
		t.Fatal(err)
	}
}

// gone waits until xenstore names no ring of a domain.
func (g *ringGuest) gone(t *testing.T, domid string) {
	t.Helper()
	c := g.xen.Connect(0)
	defer func() { _ = c.Close() }()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		_, err := c.Read("/local/domain/" + domid + "/" + RingPath)
		if errors.Is(err, os.ErrNotExist) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the nodes stay: %v", err)
		}
	}
}

// still makes sure that no ring is offered for a time.
func (g *ringGuest) still(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-g.hosts:
		t.Error("a ring was offered")
	case <-time.After(d):
	}
}
