package meter

import (
	"cmp"
	"maps"
	"slices"
)

// maxEnded is how many names of ended processes are kept, beside those of the living.
const maxEnded = 1024

// ended is what processes drank that are no more, so that the kernel's table has
// room for the living. Where there are too many names, those who drank least lose
// theirs.
type ended struct {
	users map[identity]*User
	other Other
}

// identity is by what ended processes are told apart.
type identity struct {
	process, cgroup, domain string
	qemu, vouched           bool
}

// add puts what a process drank to the others of its name.
func (e *ended) add(u User, way Way, c meterCount) {
	id := identity{u.Process, u.Cgroup, u.Domain, u.QEMU, u.Vouched}
	sum := e.users[id]
	if sum == nil {
		sum = &u
		sum.Gone = true
		if e.users == nil {
			e.users = map[identity]*User{}
		}
		e.users[id] = sum
	}
	sum.PID = u.PID
	sum.Bytes[way] += c.Bytes
	sum.Calls[way] += c.Calls
}

// trim makes those who drank least nameless, where there are too many. Those of whose
// name some live keep theirs: what is counted for a name never falls.
func (e *ended) trim(living map[seat]*sitter) {
	if len(e.users) <= maxEnded {
		return
	}
	type name struct{ process, cgroup, domain string }
	lives := map[name]bool{}
	for _, u := range living {
		lives[name{u.Process, u.Cgroup, u.Domain}] = true
	}
	type drinker struct {
		identity
		total uint64
	}
	var all []drinker
	for id, u := range e.users {
		if !lives[name{id.process, id.cgroup, id.domain}] {
			all = append(all, drinker{id, u.Total()})
		}
	}
	slices.SortFunc(all, func(a, b drinker) int {
		return cmp.Or(cmp.Compare(b.total, a.total), cmp.Compare(a.process, b.process), cmp.Compare(a.cgroup, b.cgroup))
	})
	for _, d := range all[min(len(all), maxEnded):] {
		u := e.users[d.identity]
		e.other.add(u.Bytes, u.Calls)
		delete(e.users, d.identity)
	}
}

// list is a copy of what there is.
func (e *ended) list() []User {
	all := []User{}
	for _, u := range e.users {
		c := *u
		c.Bytes, c.Calls = maps.Clone(u.Bytes), maps.Clone(u.Calls)
		all = append(all, c)
	}
	return all
}

func (o *Other) add(bytes, calls map[Way]uint64) {
	if o.Bytes == nil {
		o.Bytes, o.Calls = map[Way]uint64{}, map[Way]uint64{}
	}
	for w, n := range calls { // no bytes without a call
		o.Bytes[w] += bytes[w]
		o.Calls[w] += n
	}
}
