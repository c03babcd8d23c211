package daemon

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"

	"headgate/wire/pipe"
	"headgate/xen"
	"headgate/xen/xenstore"
	"headgate/xen/xenstore/storetest"
)

// xenRig is a daemon in the dom0 of a host that has a xenstored of its own, and rings
// that are always good.
type xenRig struct {
	hosting
	store *storetest.Store
	dom0  *xenstore.Conn // the toolstack's

	mu    sync.Mutex
	conns []*xenstore.Conn // hostd's
	gone  error            // why there is no xenstored
}

const following = "[xen]\nfollow = true\n"

// xenHosting runs a daemon, with more configuration if need be.
func xenHosting(t testing.TB, more string) *xenRig {
	t.Helper()
	x := &xenRig{store: storetest.New()}
	x.dom0 = x.store.Connect(0)
	t.Cleanup(func() { x.dom0.Close(); x.store.Close() })
	// t.TempDir has names that are too long for a folder of sockets.
	dir, err := os.MkdirTemp("", "hg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	x.run(t, dir, more)
	return x
}

// run runs a daemon beside the store that is there.
func (x *xenRig) run(t testing.TB, dir, more string) {
	t.Helper()
	x.hosting = hosting{start(t, dir, plenty+more, func(d *Daemon) {
		d.xen.host = xenHost{
			dom0: func() error { return nil },
			open: func(string) (*xenstore.Conn, string, error) { return x.connect() },
			ring: func(o xen.Options) ring { return &fakeRing{Options: o, changed: newToken()} },
		}
	})}
}

func (x *xenRig) connect() (*xenstore.Conn, string, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.gone != nil {
		return nil, "", x.gone
	}
	c := x.store.Connect(0)
	x.conns = append(x.conns, c)
	return c, "/run/fake", nil
}

// lose ends hostd's connections, and as long as err is not nil there are no others.
func (x *xenRig) lose(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.gone = err
	for _, c := range x.conns {
		c.Close()
	}
}

func (x *xenRig) reload(more string) {
	x.t.Helper()
	x.write(plenty + more)
	if err := x.Reload(); err != nil {
		x.t.Fatal(err)
	}
}

func (x *xenRig) must(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
}

func home(id int) string { return fmt.Sprintf("/local/domain/%d", id) }

// domain starts a domain as xl does: its name and UUID are there when it is told of.
func (x *xenRig) domain(id int, name, uuid string) {
	x.t.Helper()
	x.must(x.dom0.Update(func(tx *xenstore.Tx) error {
		if err := tx.Write(home(id)+"/name", name); err != nil || uuid == "" {
			return err
		}
		return tx.Write(home(id)+"/vm", "/vm/"+uuid)
	}))
	x.store.Introduce(uint16(id))
}

// offers has a domain offer a ring, as its guestd does.
func (x *xenRig) offers(id, ref int) {
	x.t.Helper()
	guest := x.store.Connect(uint16(id))
	defer guest.Close()
	x.must(guest.Update(func(tx *xenstore.Tx) error {
		if err := tx.Write("data/headgate/ring-ref", strconv.Itoa(ref)); err != nil {
			return err
		}
		return tx.Write("data/headgate/event-channel", "7")
	}))
}

// withdraws has it offer none.
func (x *xenRig) withdraws(id int) {
	x.t.Helper()
	x.must(x.dom0.Remove(home(id) + "/data/headgate"))
}

func (x *xenRig) attach(uuid string, p xen.Policy) {
	x.t.Helper()
	x.must(xen.SetPolicy(x.dom0, uuid, p))
}

func (x *xenRig) detach(uuid string) {
	x.t.Helper()
	_, err := xen.RemovePolicy(x.dom0, uuid)
	x.must(err)
}

// fed waits until a guest is connected to the ring of a domain, and seeded.
func (x *xenRig) fed(guest string, id int) {
	x.t.Helper()
	x.await(func() bool {
		if !x.has(guest) {
			return false
		}
		g := x.guest(guest)
		return g.Domain != nil && g.Domain.ID == id && g.Pipes[0].Connected && g.Seeded
	})
}

// hungry waits until a guest is there, and not connected.
func (x *xenRig) hungry(guest string) {
	x.t.Helper()
	x.await(func() bool { return x.has(guest) && !x.guest(guest).Pipes[0].Connected })
}

func (x *xenRig) none(guest string) {
	x.t.Helper()
	x.await(func() bool { return !x.has(guest) })
}

// settled waits until the daemon has heard of all that was done before.
func (x *xenRig) settled() {
	x.t.Helper()
	const mark = "00000000-0000-4000-8000-00000000face"
	x.domain(999, "mark", mark)
	x.attach(mark, xen.Policy{})
	x.await(func() bool { return x.has("mark") })
	x.detach(mark)
	x.store.Release(999)
	x.none("mark")
}

// fakeRing takes 64 bytes from its tap whenever it is offered another ring.
type fakeRing struct {
	xen.Options
	changed token

	mu    sync.Mutex
	offer *xen.Offer
	had   *xen.Offer // what it was connected to last
	stats pipe.Stats
}

var _ ring = (*fakeRing)(nil)

func (f *fakeRing) set(o *xen.Offer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.offer = o
	if o == nil {
		f.had, f.stats.Connected = nil, false
	}
	f.changed.tell()
}

func (f *fakeRing) Offer(o xen.Offer) { f.set(&o) }
func (f *fakeRing) Await(uint16)      { f.set(nil) }
func (f *fakeRing) Withdraw()         { f.set(nil) }
func (f *fakeRing) Trouble() string   { return "" }
func (f *fakeRing) Close() error      { return nil }

// Push says that the guestd of a ring that was connected was rung for.
func (f *fakeRing) Push() bool { return f.Stats().Connected }

func (f *fakeRing) Stats() pipe.Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stats
}

type peer uint16

func (p peer) String() string { return fmt.Sprint("domain ", uint16(p)) }

func (f *fakeRing) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.changed:
		}
		f.mu.Lock()
		now, had := f.offer, f.had
		f.had = now
		f.mu.Unlock()
		if now == nil || had != nil && had.Domain == now.Domain && had.Offer == now.Offer {
			continue // what is written again is the same ring
		}
		f.Notify(pipe.Event{Kind: pipe.Connected, Peer: peer(now.Domain)})
		f.Tap.Fresh()
		for need := pipe.Seed; need > 0; {
			n, err := f.Tap.ReadContext(ctx, make([]byte, need))
			if err != nil {
				return nil
			}
			need -= n
		}
		f.mu.Lock()
		f.stats.Connections++
		f.stats.Connected = f.offer != nil
		f.mu.Unlock()
	}
}
