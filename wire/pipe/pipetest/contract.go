package pipetest

import (
	"bytes"
	"testing"

	"headgate/wire/feed"
	"headgate/wire/pipe"
)

// Run holds a kind of pipe to the contract. Create makes one that is not run yet, and
// cleans up with t.
func Run(t *testing.T, create func(t *testing.T, o Options) Subject) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, create func(*testing.T, Options) Subject)
	}{
		{"PushComesFirst", pushComesFirst},
		{"EveryConnectionIsFresh", everyConnectionIsFresh},
		{"PushPushes", pushPushes},
		{"StatsCount", statsCount},
		{"ReportsAreTold", reportsAreTold},
		{"GarbageIsCounted", garbageIsCounted},
		{"RunEndsAll", runEndsAll},
		{"AGuestThatNeverReads", aGuestThatNeverReads},
		{"AGuestThatWaits", aGuestThatWaits},
		{"CloseOfOneThatIsNotRun", closeOfOneThatIsNotRun},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, create) })
	}
}

type create = func(*testing.T, Options) Subject

func pushComesFirst(t *testing.T, c create) {
	r := start(t, c, 1<<16)
	g := r.dial()
	push := g.next(feed.TypePush)
	if len(push.Data) != pipe.Seed || push.Bits != 8*pipe.Seed {
		t.Fatalf("%d bytes, %d bits", len(push.Data), push.Bits)
	}
	g.send(feed.Frame{Type: feed.TypeRequest, N: 100})
	if grant := g.next(feed.TypeGrant); len(grant.Data) != 100 || grant.Epoch != push.Epoch {
		t.Fatalf("%d bytes, epoch %x after %x", len(grant.Data), grant.Epoch, push.Epoch)
	}
	r.stop()
	if n := r.tap.Unzeroed(); n != 0 {
		t.Errorf("%d bytes were not zeroed", n)
	}
}

func everyConnectionIsFresh(t *testing.T, c create) {
	r := start(t, c, 1<<16)
	var last feed.Frame
	for i := range int32(3) {
		g := r.dial()
		push := g.next(feed.TypePush)
		if push.Epoch == last.Epoch || bytes.Equal(push.Data, last.Data) {
			t.Fatal("the push of the connection before")
		}
		if n := r.tap.fresh.Load(); n != i+1 {
			t.Fatalf("the tap was told of %d newcomers, %d came", n, i+1)
		}
		last = push
		_ = g.rw.Close()
		r.expect(pipe.Disconnected)
	}
}

func pushPushes(t *testing.T, c create) {
	r := start(t, c, 1<<16)
	if r.Pipe.Push() {
		t.Fatal("pushed to nobody")
	}
	g := r.dial()
	first := g.next(feed.TypePush)
	if !r.Pipe.Push() {
		t.Fatal("not pushed")
	}
	if second := g.next(feed.TypePush); second.Epoch == first.Epoch {
		t.Fatal("the epoch is the same")
	}
	_ = g.rw.Close()
	r.expect(pipe.Disconnected)
	if r.Pipe.Push() {
		t.Fatal("pushed to one that has left")
	}
}

func statsCount(t *testing.T, c create) {
	r := start(t, c, 1<<16)
	if s := r.Pipe.Stats(); s != (pipe.Stats{}) {
		t.Fatalf("of a new one: %+v", s)
	}
	g := r.dial()
	g.next(feed.TypePush)
	for range 2 {
		g.send(feed.Frame{Type: feed.TypeRequest, N: 64})
		g.next(feed.TypeGrant)
	}
	r.stats("connected", func(s pipe.Stats) bool {
		return s == pipe.Stats{Connected: true, Connections: 1, Requests: 2, Bytes: pipe.Seed + 2*64}
	})
	_ = g.rw.Close()
	r.expect(pipe.Disconnected)
	g = r.dial()
	g.next(feed.TypePush)
	r.stats("connected again", func(s pipe.Stats) bool {
		return s == pipe.Stats{Connected: true, Connections: 2, Requests: 2, Bytes: 2*pipe.Seed + 2*64}
	})
	r.stop()
	r.stats("after Run", func(s pipe.Stats) bool { return !s.Connected && s.Errors == 0 })
}

func reportsAreTold(t *testing.T, c create) {
	r := start(t, c, 1<<16)
	g := r.dial()
	g.send(feed.Frame{Type: feed.TypeReport, Report: feed.Report{Reason: "boot", Version: "1"}})
	if e := r.expect(pipe.Reported); e.Report.Reason != "boot" || e.Report.Version != "1" {
		t.Fatalf("%+v", e.Report)
	}
}

func garbageIsCounted(t *testing.T, c create) {
	r := start(t, c, 1<<16)
	g := r.dial()
	g.next(feed.TypePush)
	if _, err := g.rw.Write(bytes.Repeat([]byte("nonsense"), 64)); err != nil {
		t.Fatal(err)
	}
	r.stats("garbage", func(s pipe.Stats) bool { return s.Errors > 0 && s.Connected })
	g.send(feed.Frame{Type: feed.TypeRequest, N: 32})
	g.next(feed.TypeGrant) // it finds its step again
}

func runEndsAll(t *testing.T, c create) {
	r := start(t, c, 1<<16)
	g := r.dial()
	g.next(feed.TypePush)
	r.stop()
	r.expect(pipe.Disconnected)
	g.hungUp()
	if r.Pipe.Stats().Connected || r.Pipe.Push() {
		t.Fatal("there is still a connection")
	}
}

func aGuestThatNeverReads(t *testing.T, c create) {
	r := start(t, c, 1<<20)
	rw := r.Dial(t)
	defer rw.Close()
	r.expect(pipe.Connected)
	for range 16 {
		b, err := feed.Append(nil, &feed.Frame{Type: feed.TypeRequest, N: feed.MaxData})
		if err == nil {
			_, err = rw.Write(b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	r.stop()
}

func aGuestThatWaits(t *testing.T, c create) {
	r := start(t, c, 0)
	r.dial()
	r.tap.Dry(t.Context(), 1)
	r.stop()
}

func closeOfOneThatIsNotRun(t *testing.T, c create) {
	r := newRig(t, c, 0)
	if r.Pipe.Push() {
		t.Error("pushed to nobody")
	}
	if err := r.Pipe.Close(); err != nil {
		t.Error(err)
	}
	_ = r.Pipe.Close()
}
