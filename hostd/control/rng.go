package control

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"headgate/hostd/meter"
)

// RNG tells who reads randomness from this host's kernel. Rates come from two of them:
// the daemon counts, and keeps no clock for it.
type RNG struct {
	Meter meter.Reading `json:"meter"`
}

// RNG asks who reads randomness from the host's kernel.
func (c *Client) RNG(ctx context.Context) (r RNG, err error) {
	return r, c.call(ctx, http.MethodGet, "/v1/rng", nil, &r)
}

func (a api) rng(w http.ResponseWriter, _ *http.Request) {
	r, err := a.daemon.RNG()
	if err != nil {
		fail(w, err)
		return
	}
	r.Meter.Ways, r.Meter.Users, r.Meter.Notes = orEmpty(r.Meter.Ways), orEmpty(r.Meter.Users), orEmpty(r.Meter.Notes)
	answer(w, http.StatusOK, r)
}

// seedSize is what GLib reads of /dev/urandom for each generator that it seeds, in
// bytes (g_rand_new, glib/grand.c). Every QEMU does so as it starts, whatever its guest
// has.
const seedSize = 16

// UnmeteredIn finds the guests whose QEMU reads a device of this host itself, most
// first. getrandom does not count: QEMU makes its own numbers of it, rng-builtin too,
// and a guest that drinks those takes nothing from the others.
func UnmeteredIn(r meter.Reading) []Unmetered {
	type sum struct{ bytes, calls uint64 }
	of, sums := map[int]*Unmetered{}, map[int]map[meter.Way]sum{}
	for _, u := range r.Users {
		if !u.QEMU || u.Gone {
			continue
		}
		if of[u.PID] == nil {
			of[u.PID], sums[u.PID] = &Unmetered{Domain: u.Domain, Vouched: u.Vouched, PID: u.PID}, map[meter.Way]sum{}
		}
		for _, way := range []meter.Way{meter.HWRNG, meter.Random, meter.Urandom} {
			s := sums[u.PID][way]
			sums[u.PID][way] = sum{s.bytes + u.Bytes[way], s.calls + u.Calls[way]}
		}
	}
	var found []Unmetered
	for pid, u := range of {
		for _, way := range []meter.Way{meter.HWRNG, meter.Random, meter.Urandom} {
			s := sums[pid][way]
			if s.bytes == 0 || way == meter.Urandom && s.bytes <= seedSize*s.calls {
				continue
			}
			u.Ways, u.Bytes = append(u.Ways, way), u.Bytes+s.bytes
		}
		if len(u.Ways) > 0 {
			found = append(found, *u)
		}
	}
	slices.SortFunc(found, func(a, b Unmetered) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.PID, b.PID))
	})
	return found
}

// String names the guest, and says who names it so.
func (u Unmetered) String() string {
	switch {
	case u.Vouched:
		return fmt.Sprintf("domain %s (pid %d)", u.Domain, u.PID)
	case u.Domain == "":
		return fmt.Sprintf("a QEMU without a name (pid %d)", u.PID)
	}
	return fmt.Sprintf("a QEMU that calls itself %s (pid %d)", u.Domain, u.PID)
}

// Devices are those of this host that it reads: "/dev/hwrng and /dev/urandom".
func (u Unmetered) Devices() string {
	paths := make([]string, len(u.Ways))
	for i, way := range u.Ways {
		paths[i] = "/dev/" + string(way)
	}
	return strings.Join(paths, " and ")
}
