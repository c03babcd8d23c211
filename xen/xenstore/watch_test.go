package xenstore_test

import (
	"errors"
	"io/fs"
	"strconv"
	"sync"
	"testing"

	"headgate/xen/xenstore"
)

func TestWatch(t *testing.T) {
	s := store(t)
	s.Introduce(5)
	dom0, guest := connect(t, s, 0), connect(t, s, 5)
	w, err := dom0.Watch("/local/domain/5/data/headgate")
	ok(t, err)
	wait(t, w.C, "the first event")
	quiet(t, w.C, "nothing has changed")
	for _, change := range []struct {
		name string
		do   func() error
	}{
		{"at", func() error { return guest.Write("data/headgate", "") }},
		{"under", func() error { return guest.Write("data/headgate/a/b", "1") }},
		{"perms", func() error {
			return guest.SetPerms("data/headgate", xenstore.Perm{Domain: 5, Access: xenstore.None})
		}},
		{"removed", func() error { return guest.Remove("data/headgate/a") }},
		{"commit", func() error {
			return guest.Update(func(tx *xenstore.Tx) error { return tx.Write("data/headgate/c", "") })
		}},
	} {
		ok(t, change.do())
		wait(t, w.C, change.name)
		settle(t, dom0)
		quiet(t, w.C, "it has been said")
	}
	ok(t, guest.Remove("data")) // from above
	wait(t, w.C, "removal from above")
	ok(t, guest.Write("data/headgates", ""))
	ok(t, guest.Write("data/other", ""))
	settle(t, dom0)
	quiet(t, w.C, "the change is elsewhere")

	ok(t, guest.Write("data/headgate", ""))
	settle(t, dom0)
	ok(t, w.Close())
	ok(t, w.Close())
	quiet(t, w.C, "it is closed")
	ok(t, guest.Write("data/headgate", ""))
	settle(t, dom0)
	quiet(t, w.C, "it is closed")
}

func TestWatchRelative(t *testing.T) {
	s := store(t)
	s.Introduce(5)
	c := connect(t, s, 5)
	w, err := c.Watch("data/headgate")
	ok(t, err)
	twin, err := c.Watch("data/headgate")
	ok(t, err)
	wait(t, w.C, "the first event")
	wait(t, twin.C, "the first event of its twin")
	ok(t, c.Write("data/headgate/x", ""))
	wait(t, w.C, "an event")
	wait(t, twin.C, "an event of its twin")
	ok(t, twin.Close())
	ok(t, c.Write("data/headgate/x", ""))
	wait(t, w.C, "an event")
}

func TestDomainsComeAndGo(t *testing.T) {
	s := store(t)
	dom0 := connect(t, s, 0)
	come, err := dom0.Watch("@introduceDomain")
	ok(t, err)
	gone, err := dom0.Watch("@releaseDomain")
	ok(t, err)
	wait(t, come.C, "the first event")
	wait(t, gone.C, "the first event")

	s.Introduce(5)
	wait(t, come.C, "the coming")
	if v, err := dom0.Read("/local/domain/5/domid"); v != "5" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	quiet(t, gone.C, "none has gone")
	guest := connect(t, s, 5)
	settle(t, guest)

	s.Release(5)
	wait(t, gone.C, "the going")
	if _, err := dom0.Read("/local/domain/5"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	wait(t, guest.Done(), "the end of its connection")
	settle(t, dom0)
	quiet(t, come.C, "none has come")
}

// After a restore the kernel sets a guest's watches again, and each fires.
func TestWatchOverRestore(t *testing.T) {
	s := store(t)
	s.Introduce(5)
	c := connect(t, s, 5)
	w, err := c.Watch("data")
	ok(t, err)
	wait(t, w.C, "the first event")
	s.Restore(5, 6)
	wait(t, w.C, "the event after the restore")
	if v, err := c.Read("domid"); v != "6" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	settle(t, c)
	for len(w.C) > 0 {
		<-w.C
	}
	ok(t, connect(t, s, 0).Write("/local/domain/6/data/x", ""))
	wait(t, w.C, "an event in the new place")
}

// The last change is never missed, whatever came before.
func TestWatchSeesTheLast(t *testing.T) {
	s := store(t)
	c := connect(t, s, 0)
	w, err := c.Watch("/storm")
	ok(t, err)
	const last = 500
	var all sync.WaitGroup
	for i := range 3 {
		other := connect(t, s, 0)
		all.Go(func() {
			for n := range last + 1 {
				if err := other.Write("/storm/"+strconv.Itoa(i), strconv.Itoa(n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for seen := 0; seen < 3; {
		wait(t, w.C, "the last change")
		seen = 0
		for i := range 3 {
			if v, _ := c.Read("/storm/" + strconv.Itoa(i)); v == strconv.Itoa(last) {
				seen++
			}
		}
	}
	all.Wait()
}
