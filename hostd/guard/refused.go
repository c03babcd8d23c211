package guard

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Refused is what was refused since the guard was attached. The totals are exact, and
// are those of the rows.
type Refused struct {
	Inet  uint64    `json:"inet"`
	Inet6 uint64    `json:"inet6"`
	By    []Refusal `json:"by"` // the most first; 256 at most
}

// Refusal is how often one process tried one family.
type Refusal struct {
	Family  string `json:"family"`  // inet or inet6
	Process string `json:"process"` // the name of its thread (comm), or Others
	PID     int    `json:"pid"`     // by the host's numbers; 0 of Others
	Count   uint64 `json:"count"`
}

// Others stands for the processes that were more than the table has rows.
const Others = "(others)"

// slots is the table in guard.c; the first slots of it are Others', inet and inet6.
type slots [256]programSlot

const others = 2

// Refused reads the counts. It makes no system call, and may be called at any time.
func (g *Guard) Refused() Refused {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.objects == nil {
		r := g.last
		r.By = slices.Clone(r.By)
		return r
	}
	return g.read()
}

func (g *Guard) read() Refused {
	var table slots
	if g.slots == nil || g.slots.Get(&table) != nil {
		return Refused{} // not loaded whole; the size is checked when it is
	}
	return count(&table)
}

func count(table *slots) Refused {
	r := Refused{By: []Refusal{}}
	for i, slot := range table {
		if slot.Count == 0 {
			continue
		}
		by := Refusal{Count: slot.Count, PID: int(slot.Who.Tgid), Process: text(slot.Who.Comm[:])}
		family := slot.Who.Family
		if i < others {
			family = [others]uint32{unix.AF_INET, unix.AF_INET6}[i]
			by.Process = Others
		}
		by.Family = familyName(family)
		if family == unix.AF_INET {
			r.Inet += slot.Count
		} else {
			r.Inet6 += slot.Count
		}
		r.By = append(r.By, by)
	}
	slices.SortFunc(r.By, func(a, b Refusal) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.PID, b.PID),
			cmp.Compare(a.Family, b.Family), cmp.Compare(a.Process, b.Process))
	})
	return r
}

// text is a name of the kernel's, which ends with a zero. Whoever runs a program names
// it, so that what could disturb a terminal or a log is written as Go would.
func text(name []byte) string {
	name, _, _ = bytes.Cut(name, []byte{0})
	quoted := strconv.Quote(string(name))
	return quoted[1 : len(quoted)-1]
}
