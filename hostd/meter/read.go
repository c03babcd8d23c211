package meter

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
)

// Read is a snapshot. Any number of goroutines may call it. A table that is full costs
// it some 15 ms, and what it takes to look at the processes in /proc.
func (m *Meter) Read() (Reading, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.set == nil {
		return Reading{}, fmt.Errorf("meter: %w", os.ErrClosed)
	}
	m.names.begin()
	users, err := m.users()
	if err != nil {
		return Reading{}, fmt.Errorf("meter: %w", err)
	}
	r := Reading{Since: m.since, Users: users, Notes: m.notes}
	r.Other.add(m.ended.other.Bytes, m.ended.other.Calls)
	for i, way := range Ways() {
		c, err := m.table.other(i)
		if err != nil {
			return Reading{}, fmt.Errorf("meter: %w", err)
		}
		r.Other.add(map[Way]uint64{way: c.Bytes}, map[Way]uint64{way: c.Calls})
	}
	if note := m.names.note(); note != "" {
		r.Notes = append(slices.Clone(r.Notes), note)
	}
	r.Ways = m.ways(r)
	return r, nil
}

// ways sums up who drank, so that the whole and its parts are of one moment.
func (m *Meter) ways(r Reading) []WayCount {
	var all []WayCount
	for i, way := range Ways() {
		w := WayCount{Way: way, Why: m.at[i].why, Bytes: r.Other.Bytes[way], Calls: r.Other.Calls[way]}
		for _, u := range r.Users {
			w.Bytes += u.Bytes[way]
			w.Calls += u.Calls[way]
		}
		for j, p := range m.at[i].points {
			if j == 0 {
				w.How, w.Function = p.How, p.Function
			}
			w.Missed += p.Missed()
		}
		all = append(all, w)
	}
	return all
}

// seat is one process in one control group, under one name.
type seat struct {
	pid    int
	cgroup uint64
	name   string
}

// users are those in the kernel's table and those that ended. Who ended since the
// last time moves from the one to the other.
func (m *Meter) users() ([]User, error) {
	rows, err := m.table.rows()
	if err != nil {
		return nil, err
	}
	living := map[seat]*sitter{}
	sights := map[int]sight{}
	for _, r := range rows {
		s := seat{int(r.Process), r.Cgroup, comm(r.Comm)}
		of, known := sights[s.pid]
		if !known {
			of = m.look(s.pid)
			sights[s.pid] = of
		}
		if of.gone || m.replaced(s, of) {
			if err := m.retire(s, r); err != nil {
				return nil, err
			}
			continue
		}
		u := living[s]
		if u == nil {
			u = m.sit(s, of)
			living[s] = u
		}
		way := Ways()[r.Way]
		u.Bytes[way] += r.Bytes
		u.Calls[way] += r.Calls
	}
	m.ended.trim(living)
	m.names.forget(func(pid int) bool { return sights[pid].seen })
	m.living = living
	users := m.ended.list()
	for _, u := range living {
		users = append(users, u.User)
	}
	return ranked(users), nil
}

// ranked are users by what they drank, and then so that two readings have one order.
func ranked(users []User) []User {
	type rank struct {
		User
		total uint64
	}
	all := make([]rank, 0, len(users))
	for _, u := range users {
		all = append(all, rank{u, u.Total()})
	}
	slices.SortFunc(all, func(a, b rank) int {
		return cmp.Or(cmp.Compare(b.total, a.total), cmp.Compare(a.Process, b.Process), cmp.Compare(a.PID, b.PID), cmp.Compare(a.Cgroup, b.Cgroup))
	})
	for i, r := range all {
		users[i] = r.User
	}
	return users
}

// retire moves a row of a process that has ended to those of its name. Only now that it
// has is what the row holds the last of it.
func (m *Meter) retire(s seat, r row) error {
	last, err := m.table.take(r.meterReader)
	if err != nil {
		return err
	}
	m.ended.add(m.sit(s, sight{}).User, Ways()[r.Way], last)
	return nil
}

// sight is what there is to see of a process from outside.
type sight struct {
	process
	seen bool
	gone bool // ended with all its threads, and waited for
}

// look looks at a process. Where process ids are not the kernel's, nobody knows which
// has ended.
func (m *Meter) look(pid int) (s sight) {
	if m.names.blind == "" && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		s.gone = true
		return s
	}
	s.process, s.seen = m.names.process(pid)
	return s
}

// sitter is who sits there.
type sitter struct {
	User
	start uint64 // of the process, clock ticks since the system's start; 0: not seen
}

// own is whether the sight is of who sits there: under another name it is the same
// process after an execve(2), or another one with its id. Where rows have the names of
// threads nobody knows.
func (m *Meter) own(s seat, of sight) bool {
	return of.seen && (!m.leaders || of.Name == s.name)
}

// replaced is whether the process has ended and its id is another one's.
func (m *Meter) replaced(s seat, of sight) bool {
	old, known := m.living[s]
	return known && of.seen && !m.own(s, of) && old.start != 0 && old.start != of.Start
}

// sit is who sits there, and has drunk nothing yet. One that cannot be seen any more is
// what it was.
func (m *Meter) sit(s seat, of sight) *sitter {
	u := &sitter{User: User{PID: s.pid, Process: s.name, Bytes: map[Way]uint64{}, Calls: map[Way]uint64{}}, start: of.Start}
	own := m.own(s, of)
	if old, known := m.living[s]; known && !own {
		u.Cgroup, u.QEMU, u.Domain, u.Vouched, u.start = old.Cgroup, old.QEMU, old.Domain, old.Vouched, old.start
		return u
	}
	u.Cgroup = m.names.cgroup(s.cgroup)
	if own {
		u.QEMU, u.Domain, u.Vouched = of.QEMU, of.Domain, of.Vouched
	}
	return u
}

// comm is a name as the kernel keeps it, up to its 0.
func comm(c [16]uint8) string {
	name, _, _ := bytes.Cut(c[:], []byte{0})
	return clean(string(name))
}
