package xen

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"headgate/xen/xenstore"
	"headgate/xen/xenstore/storetest"
)

func TestDomainsComeAndGo(t *testing.T) {
	h := newHost(t)
	h.boot(5, "web1", uuid5)
	h.follow()
	d, there := h.get(5)
	if !there || d.Name != "web1" || d.UUID != uuid5 || d.Offer != nil || d.Policy != nil {
		t.Fatalf("%v %+v", there, d)
	}
	h.boot(6, "web2", strings.ToUpper(uuid6))
	h.is(6, "is web2", func(d Domain) bool { return d.Name == "web2" && d.UUID == uuid6 })
	h.put(place(6)+"/name", "db")
	h.is(6, "is db", func(d Domain) bool { return d.Name == "db" })
	h.store.Release(5)
	h.down(5)
	if _, there := h.get(6); !there {
		t.Error("the wrong one is gone")
	}
	if _, there := h.get(0); there {
		t.Error("domain 0 is no guest")
	}
}

// A toolstack that writes the tree after the introduction, and removes it before the
// domain ends.
func TestTheTreeIsWhatCounts(t *testing.T) {
	h := newHost(t)
	h.follow()
	h.store.Introduce(5)
	h.is(5, "has no name", func(d Domain) bool { return d.Name == "" })
	h.put(place(5)+"/vm", "/vm/"+uuid5)
	h.put(place(5)+"/name", "web1")
	h.is(5, "is web1", func(d Domain) bool { return d.Name == "web1" && d.UUID == uuid5 })
	if err := h.tools.Remove(place(5)); err != nil {
		t.Fatal(err)
	}
	h.down(5)
}

// A toolstack that is slow to say who a domain is: its introduction comes when it has.
func TestADomainSeenBeforeItHasAUUID(t *testing.T) {
	h := newHost(t)
	h.follow()
	h.put(place(5)+"/name", "web1")
	h.boot(6, "web2", uuid6)
	h.is(5, "is web1", func(d Domain) bool { return d.Name == "web1" && d.UUID == "" })
	h.put(place(5)+"/vm", "/vm/"+uuid5)
	h.store.Introduce(5)
	h.is(5, "has its UUID", func(d Domain) bool { return d.UUID == uuid5 })
}

func TestANumberThatIsAnotherDomains(t *testing.T) {
	h := newHost(t)
	h.boot(5, "web1", uuid5)
	h.follow()
	h.put(place(5)+"/vm", "/vm/"+uuid6)
	h.put(place(5)+"/name", "web2")
	h.is(5, "is web2", func(d Domain) bool { return d.Name == "web2" && d.UUID == uuid6 })
	if log := h.said(); !strings.Contains(log, "down 5; up 5") {
		t.Error(log)
	}
}

func TestOffers(t *testing.T) {
	h := newHost(t)
	h.boot(5, "web1", uuid5)
	h.follow()
	guest := h.connect(5)
	offers(t, guest, "9", "3")
	first := h.offered(5, 9)
	if first.Offer.Domain != 5 || first.Offer.Port != 3 || first.Offer.Generation == 0 {
		t.Fatalf("%+v", first.Offer)
	}
	offers(t, guest, "9", "3") // another ring with the same numbers
	second := h.is(5, "offers anew", func(d Domain) bool { return d.Offer.Generation > first.Offer.Generation })
	offers(t, guest, "10", "3")
	third := h.offered(5, 10)
	if third.Offer.Generation <= second.Offer.Generation {
		t.Error("the generation does not rise")
	}
	if err := guest.Remove(RingPath); err != nil {
		t.Fatal(err)
	}
	h.silent(5)
	offers(t, guest, "10", "4")
	h.offered(5, 10)
	if err := guest.Remove("data"); err != nil {
		t.Fatal(err)
	}
	h.silent(5)
}

func TestNonsenseIsNoOffer(t *testing.T) {
	h := newHost(t)
	h.follow()
	id := uint16(4)
	next := func() *xenstore.Conn { // a domain of its own for each: it is no storm
		id++
		h.store.Introduce(id)
		guest := h.connect(id)
		offers(t, guest, "9", "3")
		h.offered(id, 9)
		return guest
	}
	for _, bad := range [][2]string{
		{"", ""}, {"nine", "3"}, {"9", "three"}, {"9", ""}, {"-9", "3"}, {"4294967296", "3"}, {" 9", "3"}, {"9\n", "3"},
		{"09", "3"}, {"9", "+3"}, {strings.Repeat("9", 4000), "3"}, {"9", "\x00\xff"},
	} {
		offers(t, next(), bad[0], bad[1])
		h.silent(id)
	}
	// One node alone, and a tree that is deeper than it should be.
	guest := next()
	if err := guest.Remove(RingPath + "/event-channel"); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/a/b/c", "/ring-ref/ring-ref"} {
		if err := guest.Write(RingPath+path, "9"); err != nil {
			t.Fatal(err)
		}
	}
	h.silent(id)
}

// What the guest can have written itself is not who it is.
func TestAGuestDoesNotSayWhoItIs(t *testing.T) {
	for _, perms := range [][]xenstore.Perm{
		{{Domain: 5, Access: xenstore.None}},
		{{Domain: 5, Access: xenstore.ReadOnly}, {Domain: 0, Access: xenstore.Both}},
		{{Domain: 0, Access: xenstore.Both}},
		{{Domain: 0, Access: xenstore.None}, {Domain: 5, Access: xenstore.WriteOnly}},
		{{Domain: 0, Access: xenstore.None}, {Domain: 6, Access: xenstore.Both}},
	} {
		h := newHost(t)
		h.boot(5, "web1", uuid5)
		for _, node := range []string{"/name", "/vm"} {
			if err := h.tools.SetPerms(place(5)+node, perms...); err != nil {
				t.Fatal(err)
			}
		}
		h.put(PolicyPath+"/"+uuid5+"/class", "gold")
		h.follow()
		if d, there := h.get(5); !there || d.Name != "" || d.UUID != "" || d.Policy != nil {
			t.Errorf("with %v: %v %+v", perms, there, d)
		}
	}
}

func TestStrangeNamesAreNotKnown(t *testing.T) {
	h := newHost(t)
	h.boot(5, "a\nb", "not-a-uuid")
	h.boot(6, strings.Repeat("n", 1000), uuid6[:35])
	h.boot(7, "\xff", "../../0/headgate/"+uuid6)
	h.follow()
	for id := range uint16(3) {
		if d, there := h.get(5 + id); !there || d.Name != "" || d.UUID != "" {
			t.Errorf("%+v", d)
		}
	}
}

func TestPolicies(t *testing.T) {
	h := newHost(t)
	h.boot(5, "web1", uuid5)
	h.boot(6, "web2", uuid6)
	if err := SetPolicy(h.tools, uuid5, Policy{Class: "gold"}); err != nil {
		t.Fatal(err)
	}
	h.follow()
	if d, _ := h.get(5); d.Policy == nil || d.Policy.Class != "gold" {
		t.Fatalf("%+v", d.Policy)
	}
	if err := SetPolicy(h.tools, uuid6, Policy{Rate: "1KiB/s", Weight: "3"}); err != nil {
		t.Fatal(err)
	}
	h.is(6, "has a policy", func(d Domain) bool { return d.Policy.equal(&Policy{Rate: "1KiB/s", Weight: "3"}) })
	h.put(PolicyPath+"/"+uuid6+"/klass", "gold")
	h.put(PolicyPath+"/"+uuid6+"/rate", strings.Repeat("9", 1000))
	h.is(6, "has a strange policy", func(d Domain) bool {
		return d.Policy.equal(&Policy{Weight: "3", Unknown: []string{`node "klass"`, `node "rate" with 1000 bytes`}})
	})
	for i := range 100 {
		h.put(PolicyPath+"/"+uuid6+"/"+strings.Repeat("x", 100+i), "")
	}
	h.is(6, "has many", func(d Domain) bool { return len(d.Policy.Unknown) == maxUnknown })
	if there, err := RemovePolicy(h.tools, uuid6); !there || err != nil {
		t.Fatal(there, err)
	}
	h.is(6, "has none", func(d Domain) bool { return d.Policy == nil })
	h.put("/local/domain/5/headgate/"+uuid6+"/class", "gold") // the guest's own tree
	h.put(PolicyPath+"/"+strings.ToUpper(uuid6)+"/class", "gold")
	if err := SetPolicy(h.tools, uuid5, Policy{}); err != nil {
		t.Fatal(err)
	}
	h.is(5, "has an empty one", func(d Domain) bool { return d.Policy.equal(&Policy{}) })
	if d, _ := h.get(6); d.Policy != nil {
		t.Errorf("%+v", d.Policy)
	}
}

// Xenstored dies, is away, and comes back with another tree.
func TestXenstoredComesBack(t *testing.T) {
	h := newHost(t)
	h.boot(5, "web1", uuid5)
	offers(t, h.connect(5), "9", "3")
	h.follow()
	first := h.offered(5, 9)
	h.store.Close()
	if err := os.Remove(h.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	until(t, "lost", func() bool { return strings.Contains(h.said(), "lost") })
	if _, there := h.get(5); !there {
		t.Error("while xenstored is away, nothing is known to be gone")
	}
	h.store = storetest.New()
	t.Cleanup(h.store.Close)
	h.tools = h.connect(0)
	h.boot(5, "web1", uuid5)
	offers(t, h.connect(5), "9", "3")
	h.boot(6, "web2", uuid6)
	h.store.Listen(t, h.path)
	h.is(6, "is there", func(Domain) bool { return true })
	if d := h.offered(5, 9); d.Offer.Generation <= first.Offer.Generation {
		t.Error("the generation does not rise")
	}
	if n := strings.Count(h.said(), "connected here; all"); n != 2 {
		t.Error(h.said())
	}
	if n := strings.Count(h.said(), "lost"); n > 2 { // that it is cut, and that there is none
		t.Error(h.said())
	}
}

func TestAXenstoredThatIsNotThere(t *testing.T) {
	t.Parallel()
	tries := 0
	f := &Follower{Sink: &sink{}, Open: func() (*xenstore.Conn, string, error) {
		tries++
		return nil, "", errors.New("no xenstored")
	}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := f.Run(ctx); err != nil || tries < 3 || tries > 6 {
		t.Errorf("%v after %d tries", err, tries)
	}
	if log := f.Sink.(*sink).said(); log != "lost no xenstored" {
		t.Error(log)
	}
}
