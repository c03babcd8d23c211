//go:build linux

package xen

import (
	"context"
	"crypto/rand"
	"io"
	"math"
	"net"
	"strconv"
	"testing"
	"time"

	guest "headgate/guestd/pipe"
	"headgate/wire/feed"
	"headgate/wire/feed/host"
	"headgate/xen/vchan"
	"headgate/xen/xenstore"
)

// dom0 stands for hostd: it connects to whatever a domain offers, again and again.
type dom0 struct {
	server   host.Server
	reports  chan reported
	credited int           // bits, by the report that was awaited last
	cut      chan struct{} // one place
	end      context.CancelFunc
	done     chan struct{}
}

type reported struct {
	feed.Report
	at time.Time
}

func newDom0(t *testing.T) *dom0 {
	t.Helper()
	d := &dom0{reports: make(chan reported, 100), cut: make(chan struct{}, 1), end: func() {}, done: make(chan struct{})}
	close(d.done)
	d.server = host.Server{Tap: chance{}, Report: func(r feed.Report) { d.reports <- reported{r, time.Now()} }}
	t.Cleanup(d.stop)
	return d
}

// rings follows the rings that the domain of a name offers until stop, or the domain
// that will have the name after this one.
func (d *dom0) rings(t *testing.T, name string, after int) {
	t.Helper()
	store, err := xenstore.Open()
	if err != nil {
		t.Fatal(err)
	}
	var w *xenstore.Watch
	var domid int
	d.serve(t, func(ctx context.Context) (io.ReadWriteCloser, error) {
		for w == nil {
			if domid = named(store, name); domid > after {
				if w, err = store.Watch(domainPath(domid, guest.RingPath)); err != nil {
					return nil, err
				}
				break
			}
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
				return nil, store.Close()
			}
		}
		select {
		case <-w.C:
		case <-ctx.Done():
			return nil, store.Close()
		}
		told := time.Now()
		offer, err := vchan.ReadOffer(store, domainPath(domid, guest.RingPath))
		if err != nil {
			return nil, err
		}
		ring, err := vchan.Connect(uint16(domid), offer)
		if err != nil {
			t.Logf("dom0: %+v of domain %d: %v", offer, domid, err)
			return nil, err
		}
		t.Logf("dom0: connected to %+v of domain %d, %s after it was told", offer, domid, time.Since(told))
		return ring, nil
	})
}

// named is the newest domain of that name.
func named(store *xenstore.Conn, name string) (newest int) {
	all, _ := store.List("/local/domain")
	for _, text := range all {
		id, err := strconv.Atoi(text)
		if err != nil || id < newest {
			continue
		}
		if is, err := store.Read(domainPath(id, "name")); err == nil && is == name {
			newest = id
		}
	}
	return newest
}

// ring rings the bell of a domain.
func (d *dom0) ring(t *testing.T, domid int) {
	t.Helper()
	store, err := xenstore.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.Write(domainPath(domid, guest.BellPath), time.Now().String()); err != nil {
		t.Fatal(err)
	}
}

// channel follows the backend of a channel until stop.
func (d *dom0) channel(t *testing.T, path string) {
	t.Helper()
	d.serve(t, func(ctx context.Context) (io.ReadWriteCloser, error) {
		for {
			if conn, err := net.Dial("unix", path); err == nil {
				t.Logf("dom0: connected to %s", path)
				return conn, nil
			}
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	})
}

func (d *dom0) serve(t *testing.T, connect func(context.Context) (io.ReadWriteCloser, error)) {
	ctx, cancel := context.WithCancel(t.Context())
	d.end, d.done = cancel, make(chan struct{})
	go func() {
		defer close(d.done)
		for ctx.Err() == nil {
			conn, err := connect(ctx)
			if conn == nil || err != nil {
				continue
			}
			one, hangUp := context.WithCancel(ctx)
			go func() {
				select {
				case <-d.cut:
					hangUp()
				case <-one.Done():
				}
			}()
			err = d.server.Serve(one, conn)
			t.Logf("dom0: the connection ended: %v", err)
			hangUp()
		}
	}()
}

func (d *dom0) hangUp() { d.cut <- struct{}{} }

func (d *dom0) stop() {
	d.end()
	<-d.done
}

// forget drops the reports that came.
func (d *dom0) forget() {
	for len(d.reports) > 0 {
		<-d.reports
	}
}

// await waits for a report that guestd reseeded, for this reason if one is given, and
// returns it.
func (d *dom0) await(ctx context.Context, t *testing.T, reason string) reported {
	t.Helper()
	for {
		select {
		case r := <-d.reports:
			t.Logf("dom0: report %s, %d bits", r.Reason, r.Credited)
			if r.Reason == reason {
				d.credited = int(r.Credited)
				return r
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("guestd reported no reseed for %q", reason)
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		}
	}
}

// chance is a tap that never runs dry; guestd tests what it gives.
type chance struct{}

func (chance) TryRead(p []byte) int                                   { n, _ := rand.Read(p); return n }
func (c chance) ReadContext(_ context.Context, p []byte) (int, error) { return c.TryRead(p), nil }
func (chance) Available() int                                         { return math.MaxInt }
