package libvirt

import (
	"testing"
	"time"

	rpc "github.com/digitalocean/go-libvirt"
	"pgregory.net/rapid"
)

// Whatever comes, in whatever order it is taken: each domain that was told of is
// looked at after the last time it was, and never twice at once.
func TestHints(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHints()
		due := map[rpc.UUID]bool{} // to be looked at
		busy := map[rpc.UUID]asking{}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			n := uuidOf(rapid.IntRange(0, 5).Draw(t, "domain"))
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0, 1:
				h.add(n, hint{name: "a"})
				due[n] = true
			case 2:
				free := rapid.IntRange(0, 3).Draw(t, "free")
				for uuid, got := range h.take(free, busy, time.Now()) {
					if _, doubly := busy[uuid]; doubly || !due[uuid] || got.name != "a" {
						t.Fatalf("took %+v, due %v, busy %v", got, due[uuid], doubly)
					}
					busy[uuid] = asking{hint: got}
					delete(due, uuid)
				}
				if len(busy) > 6 {
					t.Fatal("more than there are")
				}
			case 3: // looked at, or in vain
				if got, there := busy[n]; there {
					delete(busy, n)
					if rapid.Bool().Draw(t, "in vain") {
						h.add(n, got.hint)
						due[n] = true
					}
				}
			case 4:
				h.relist()
				clear(due)
			}
		}
		for uuid := range h.take(maxHints, nil, time.Now().Add(time.Hour)) {
			if _, there := due[uuid]; !there {
				t.Fatal("not due")
			}
			delete(due, uuid)
		}
		if len(due) > 0 {
			t.Fatalf("%d are forgotten", len(due))
		}
	})
}

func TestHintsAreBounded(t *testing.T) {
	h := newHints()
	for n := range maxHints {
		h.add(uuidOf(n), hint{})
	}
	if h.overflow() {
		t.Fatal("there was room")
	}
	h.add(uuidOf(maxHints), hint{})
	if !h.overflow() || len(h.waiting) != maxHints {
		t.Fatalf("%d wait", len(h.waiting))
	}
	h.relist()
	if h.overflow() || len(h.waiting) != 0 {
		t.Fatalf("%d wait", len(h.waiting))
	}
}

func TestEvents(t *testing.T) {
	h := newHints()
	dom := func(n int) rpc.Domain { return rpc.Domain{Name: "a", UUID: uuidOf(n), ID: -1} }
	lifecycle := func(l lifecycle) any {
		return &rpc.DomainEventCallbackLifecycleMsg{Msg: rpc.DomainEventLifecycleMsg{Dom: dom(1), Event: int32(l.event), Detail: l.detail}}
	}
	for i, test := range []struct {
		event any
		want  news
	}{
		{lifecycle(resumedSnapshot), news{dom(1), true, true}},
		{lifecycle(paused), news{dom(1), false, false}},
		{lifecycle(resumed), news{dom(1), true, false}},
		{&rpc.DomainEventCallbackMetadataChangeMsg{Dom: dom(2)}, news{domain: dom(2)}},
		{&rpc.DomainEventCallbackDeviceAddedMsg{Dom: dom(3)}, news{domain: dom(3)}},
		{&rpc.DomainEventCallbackDeviceRemovedMsg{Msg: rpc.DomainEventDeviceRemovedMsg{Dom: dom(4)}}, news{domain: dom(4)}},
		{&rpc.DomainEventCallbackRebootMsg{Msg: rpc.DomainEventRebootMsg{Dom: dom(5)}}, news{dom(5), true, true}},
	} {
		if got, known := h.read(test.event); !known || got != test.want {
			t.Errorf("%d: %+v, %v, want %+v", i, got, known, test.want)
		}
	}
	if _, known := h.read(nil); known {
		t.Error("nothing is known")
	}
}

// What was looked at in vain waits, unless something is heard of it, and keeps what
// is known of it.
func TestHintsThatAreNotDue(t *testing.T) {
	h, now := newHints(), time.Now()
	at := func(s int) time.Time { return now.Add(time.Duration(s) * time.Second) }
	taken := func(s int) map[rpc.UUID]hint { return h.take(9, nil, at(s)) }
	if due := h.next(nil); !due.IsZero() {
		t.Errorf("due %v", due)
	}
	h.add(uuidOf(1), hint{name: "a", tries: 3, due: at(10)})
	h.add(uuidOf(2), hint{due: at(20)})
	h.add(uuidOf(3), hint{})
	if got := taken(9); len(got) != 1 || got[uuidOf(3)] != (hint{}) {
		t.Errorf("%+v", got)
	}
	if due := h.next(nil); !due.Equal(at(10)) {
		t.Errorf("due %v", due)
	}
	if due := h.next(map[rpc.UUID]asking{uuidOf(1): {}}); !due.Equal(at(20)) {
		t.Errorf("due %v without that which is looked at", due)
	}
	h.add(uuidOf(1), hint{})                      // heard of
	h.add(uuidOf(1), hint{tries: 4, due: at(30)}) // and in vain once more
	if got := taken(9); len(got) != 1 || got[uuidOf(1)] != (hint{name: "a"}) {
		t.Errorf("%+v", got)
	}
	if got := taken(20); len(got) != 1 || !h.next(nil).IsZero() {
		t.Errorf("%+v", got)
	}
}
