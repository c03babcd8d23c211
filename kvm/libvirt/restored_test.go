package libvirt

import (
	"slices"
	"testing"

	rpc "github.com/digitalocean/go-libvirt"
	"pgregory.net/rapid"
)

type lifecycle struct {
	event  rpc.DomainEventType
	detail int32
}

// As libvirt 9.0 tells of it, unless said otherwise.
var (
	resumed         = lifecycle{rpc.DomainEventResumed, int32(rpc.DomainEventResumedUnpaused)}
	resumedSnapshot = lifecycle{rpc.DomainEventResumed, int32(rpc.DomainEventResumedFromSnapshot)}
	resumedMigrated = lifecycle{rpc.DomainEventResumed, int32(rpc.DomainEventResumedMigrated)}
	paused          = lifecycle{rpc.DomainEventSuspended, int32(rpc.DomainEventSuspendedPaused)}
	pausedRestored  = lifecycle{rpc.DomainEventSuspended, int32(rpc.DomainEventSuspendedRestored)}
	pausedSnapshot  = lifecycle{rpc.DomainEventSuspended, int32(rpc.DomainEventSuspendedFromSnapshot)}
	booted          = lifecycle{rpc.DomainEventStarted, int32(rpc.DomainEventStartedBooted)}
	startedRestored = lifecycle{rpc.DomainEventStarted, int32(rpc.DomainEventStartedRestored)}
	startedSnapshot = lifecycle{rpc.DomainEventStarted, int32(rpc.DomainEventStartedFromSnapshot)}
	startedMigrated = lifecycle{rpc.DomainEventStarted, int32(rpc.DomainEventStartedMigrated)}
	stopped         = lifecycle{rpc.DomainEventStopped, 0}
	defined         = lifecycle{rpc.DomainEventDefined, 0}
)

func TestPutBackInPlace(t *testing.T) {
	for name, test := range map[string]struct {
		events  []lifecycle
		resumed []int // those that say that it goes on
		fresh   []int // those of them that say from where
	}{
		"start and stop":                   {[]lifecycle{defined, resumed, booted, paused, resumed, stopped}, []int{1, 4}, nil},
		"loadvm by QEMU's monitor":         {[]lifecycle{resumed, booted, paused, resumed}, []int{0, 3}, nil},
		"save and restore":                 {[]lifecycle{paused, stopped, startedRestored, resumedSnapshot}, []int{3}, nil},
		"restore, paused":                  {[]lifecycle{startedRestored, pausedRestored, resumed}, []int{1, 2}, nil},
		"revert in a new QEMU":             {[]lifecycle{stopped, startedSnapshot, resumedSnapshot, defined}, []int{2}, nil},
		"revert in a new QEMU, paused":     {[]lifecycle{stopped, startedSnapshot, pausedSnapshot, defined, resumed}, []int{2, 4}, nil},
		"revert in the same QEMU (< 7.10)": {[]lifecycle{resumed, booted, resumedSnapshot}, []int{0, 2}, []int{2}},
		"the same, paused":                 {[]lifecycle{resumed, booted, paused, pausedSnapshot, resumed}, []int{0, 3, 4}, []int{3}},
		"twice":                            {[]lifecycle{startedSnapshot, resumedSnapshot, resumedSnapshot}, []int{1, 2}, []int{2}},
		"migrated in":                      {[]lifecycle{startedMigrated, resumedMigrated}, []int{1}, nil},
		"a migration that failed":          {[]lifecycle{booted, paused, resumedMigrated}, []int{2}, []int{2}},
	} {
		r, goesOn, fresh := restored{}, []int(nil), []int(nil)
		for i, e := range test.events {
			on, anew := r.next(uuidOf(1), e.event, e.detail)
			if on {
				goesOn = append(goesOn, i)
			}
			if anew {
				fresh = append(fresh, i)
			}
		}
		if !slices.Equal(goesOn, test.resumed) || !slices.Equal(fresh, test.fresh) {
			t.Errorf("%s: %v and %v, want %v and %v", name, goesOn, fresh, test.resumed, test.fresh)
		}
	}
}

// The events of one domain mean the same among those of others, and what is kept is
// bounded.
func TestDomainsDoNotMix(t *testing.T) {
	all := []lifecycle{resumed, resumedSnapshot, resumedMigrated, paused, pausedRestored, pausedSnapshot,
		booted, startedRestored, startedSnapshot, startedMigrated, stopped, defined, {99, 99}}
	rapid.Check(t, func(t *rapid.T) {
		together, alone := restored{}, map[int]restored{}
		for range rapid.IntRange(0, 50).Draw(t, "events") {
			n := rapid.IntRange(0, 3).Draw(t, "domain")
			e := rapid.SampledFrom(all).Draw(t, "event")
			if alone[n] == nil {
				alone[n] = restored{}
			}
			on, fresh := together.next(uuidOf(n), e.event, e.detail)
			onAlone, freshAlone := alone[n].next(uuidOf(n), e.event, e.detail)
			if on != onAlone || fresh != freshAlone {
				t.Fatalf("domain %d, %+v: %v %v among others, %v %v alone", n, e, on, fresh, onAlone, freshAlone)
			}
			switch {
			case on && e.event == rpc.DomainEventStarted:
				t.Fatal("a new QEMU is fresh by itself")
			case fresh && !on:
				t.Fatal("fresh, and does not go on")
			case !on && e.event == rpc.DomainEventResumed:
				t.Fatal("resumed, and does not go on")
			}
		}
	})
	r := restored{}
	for n := range 3 * maxHints {
		r.next(uuidOf(n), startedRestored.event, startedRestored.detail)
	}
	if len(r) > maxHints {
		t.Fatalf("%d domains are kept", len(r))
	}
}
