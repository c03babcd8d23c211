package daemon

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"headgate/hostd/control"
	"headgate/kvm/libvirt"
)

// libvirtd is a naive libvirt: domains start and stop in it, its hook is called and
// its events are followed. Calls and answers are under way for any time, overtake
// each other, and calls get lost.
type libvirtd struct {
	hosting
	t        *rapid.T
	ids      int
	machines []*simulated
	calls    []control.HookCall // of the hook, under way
	hints    map[int]bool       // machines that an event told of, by number
	asked    []*question        // by the follower, under way
	refused  bool               // a restore was, ever
	due      map[int]bool       // machines that hostd wants to look at later, by number
}

// simulated is a domain, and its QEMU while it runs.
type simulated struct {
	libvirt.Domain
	n       int
	running bool
	conn    net.Conn // nil: not connected
	steady  bool     // it was connected, and the daemon knew of it
}

// GoString keeps what rapid writes readable.
func (m *simulated) GoString() string { return fmt.Sprintf("%s %d, id %d", m.Name, m.n, m.ID) }

// question is one that the follower has asked and libvirt has answered, or not yet.
type question struct {
	of    []int // machines
	whole bool  // it is about all there are
	asOf  time.Time
	seen  map[int]libvirt.Domain // nil: not answered; those that run
}

// TestOrderDoesNotMatter: whatever comes in whatever order, a domain that runs and
// is known keeps its connection and counts as unseeded once; in the end there are
// the guests of the domains that run and nothing else.
func TestOrderDoesNotMatter(t *testing.T) {
	h := host(t, "")
	rapid.Check(t, func(rt *rapid.T) {
		v := &libvirtd{hosting: h, t: rt, hints: map[int]bool{}, due: map[int]bool{}}
		for n, name := range []string{"web1", "web1", "db1"} { // two of one name, which libvirt lets run by turns
			m := h.machine(name, n+1, 0)
			v.machines = append(v.machines, &simulated{Domain: m, n: n})
		}
		defer v.closeAll()
		rt.Repeat(map[string]func(*rapid.T){
			"start":   v.start,
			"stop":    v.stop,
			"refuse":  v.refuse,
			"deliver": v.deliver,
			"lose":    v.lose,
			"ask":     v.ask,
			"list":    v.list,
			"see":     v.see,
			"answer":  v.answer,
			"revert":  v.revert,
			"":        v.check,
		})
		v.settle()
		for _, m := range v.machines {
			v.halt(m)
		}
		v.settle()
		if len(h.leftOver())+len(h.domains)+len(h.Status().Guests) > 0 {
			rt.Fatalf("left over: %v, %v", h.leftOver(), h.domains)
		}
	})
}

func (v *libvirtd) any(t *rapid.T, which func(*simulated) bool) *simulated {
	var fit []*simulated
	for _, m := range v.machines {
		if which(m) {
			fit = append(fit, m)
		}
	}
	if len(fit) == 0 {
		t.Skip("none")
	}
	return rapid.SampledFrom(fit).Draw(t, "machine")
}

func (v *libvirtd) call(op string, d libvirt.Domain) {
	v.calls = append(v.calls, control.HookCall{Op: op, Domain: d, At: libvirt.Clock()})
}

func (v *libvirtd) start(t *rapid.T) {
	m := v.any(t, func(m *simulated) bool {
		return !m.running && !slices.ContainsFunc(v.machines, func(o *simulated) bool { return o.running && o.Name == m.Name })
	})
	v.ids++
	m.ID, m.running = v.ids, true
	if rapid.Bool().Draw(t, "restored") {
		saved := m.Domain
		saved.ID = 0
		v.call("restore", saved)
	}
	for _, op := range []string{"prepare", "start", "started"} {
		v.call(op, m.Domain)
	}
	v.pid(m.Name)
	v.hints[m.n] = true
}

// refuse is a restore of a machine that runs, or whose namesake does: libvirt says
// no after its hook was called.
func (v *libvirtd) refuse(t *rapid.T) {
	m := v.any(t, func(m *simulated) bool {
		return slices.ContainsFunc(v.machines, func(o *simulated) bool { return o.running && o.Name == m.Name })
	})
	saved := m.Domain
	saved.ID = 0
	if rapid.Bool().Draw(t, "saved without a device") {
		saved.RNGs = nil
	}
	v.refused = true
	v.call("restore", saved)
}

// look notes what hostd wants to look at later.
func (v *libvirtd) look() {
	for _, uuid := range v.hosting.due() {
		for _, m := range v.machines {
			if m.UUID == uuid && v.refused { // else it is right without
				v.due[m.n] = true
			}
		}
	}
}

func (v *libvirtd) stop(t *rapid.T) { v.halt(v.any(t, func(m *simulated) bool { return m.running })) }

func (v *libvirtd) halt(m *simulated) {
	if !m.running {
		return
	}
	m.running, m.steady = false, false
	if m.conn != nil {
		m.conn.Close()
		m.conn = nil
	}
	v.call("stopped", m.Domain)
	v.call("release", m.Domain)
	m.ID = 0
	v.hints[m.n] = true
}

// revert puts a machine back to an earlier state in its QEMU: only the follower
// tells of it.
func (v *libvirtd) revert(t *rapid.T) {
	m := v.any(t, func(m *simulated) bool { return m.conn != nil && v.current(m) })
	v.resume(m.UUID, true)
	if v.hosting.guest(m.Name).Seeded {
		t.Fatal("put back to an earlier state, and counts as seeded")
	}
	v.asks(m.conn)
}

func (v *libvirtd) take(t *rapid.T) control.HookCall {
	if len(v.calls) == 0 {
		t.Skip("none")
	}
	i := rapid.IntRange(0, len(v.calls)-1).Draw(t, "call")
	c := v.calls[i]
	v.calls = slices.Delete(v.calls, i, i+1)
	return c
}

func (v *libvirtd) deliver(t *rapid.T) {
	c := v.take(t)
	if err := v.Hook(c); err != nil {
		t.Fatalf("%s of %s: %v", c.Op, c.Domain.Name, err)
	}
	v.look()
}

func (v *libvirtd) deliverAll() {
	for len(v.calls) > 0 {
		v.deliver(v.t)
		v.check(v.t)
	}
}

func (v *libvirtd) lose(t *rapid.T) { v.take(t) }

func (v *libvirtd) ask(t *rapid.T) {
	m := v.any(t, func(m *simulated) bool { return v.hints[m.n] && !v.underWay(m.n) })
	delete(v.hints, m.n)
	v.asked = append(v.asked, &question{of: []int{m.n}, asOf: time.Now()})
}

// underWay says whether there is a question about a machine: the follower has one
// at a time, and none while it lists.
func (v *libvirtd) underWay(n int) bool {
	return slices.ContainsFunc(v.asked, func(q *question) bool { return slices.Contains(q.of, n) })
}

// list is a connection that was lost and made again.
func (v *libvirtd) list(*rapid.T) {
	v.asked = []*question{{of: []int{0, 1, 2}, whole: true, asOf: time.Now()}}
}

func (v *libvirtd) pick(t *rapid.T, which func(*question) bool) int {
	var fit []int
	for i, q := range v.asked {
		if which(q) {
			fit = append(fit, i)
		}
	}
	if len(fit) == 0 {
		t.Skip("none")
	}
	return rapid.SampledFrom(fit).Draw(t, "question")
}

func (v *libvirtd) see(t *rapid.T) {
	v.show(v.asked[v.pick(t, func(q *question) bool { return q.seen == nil })])
}

func (v *libvirtd) show(q *question) {
	q.seen = map[int]libvirt.Domain{}
	for _, n := range q.of {
		if v.machines[n].running {
			q.seen[n] = v.machines[n].Domain
		}
	}
}

func (v *libvirtd) answer(t *rapid.T) {
	i := v.pick(t, func(q *question) bool { return q.seen != nil })
	q := v.asked[i]
	v.asked = slices.Delete(v.asked, i, i+1)
	v.tell(q)
}

func (v *libvirtd) tell(q *question) {
	s := sink{v.Daemon}
	defer v.look()
	if q.whole {
		s.All(slices.Collect(maps.Values(q.seen)), nil, q.asOf)
		return
	}
	if d, running := q.seen[q.of[0]]; running {
		s.Up(d, q.asOf)
		return
	}
	s.Down(v.machines[q.of[0]].UUID, "", q.asOf)
}

// current says whether the daemon knows a machine as it runs now.
func (v *libvirtd) current(m *simulated) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	d := v.domains[m.UUID]
	return d != nil && d.id == m.ID && d.guest != nil
}

// check is made after every step: QEMUs connect where they can.
func (v *libvirtd) check(t *rapid.T) {
	for _, m := range v.machines {
		if m.conn != nil && hungUp(m.conn) {
			if m.steady { // else it had come to the guest of a life before
				t.Fatalf("%s (%s) was hung up on", m.Name, m.UUID)
			}
			m.conn.Close()
			m.conn = nil
		}
		if m.running && m.conn == nil {
			if conn, err := net.Dial("unix", v.socket(m.Name)); err == nil {
				m.conn = conn
				v.takes(conn) // comes unasked
			}
		}
		m.steady = m.conn != nil && v.current(m)
		if m.steady && !v.hosting.guest(m.Name).Seeded {
			t.Fatalf("%s (%s) counts as unseeded once more", m.Name, m.UUID)
		}
	}
}

// settle lets come what is under way, and looks at what is hinted at. What libvirt
// says last holds, also if calls of before come after it.
func (v *libvirtd) settle() {
	late := rapid.Bool().Draw(v.t, "calls come last")
	if !late {
		v.deliverAll()
	}
	for _, q := range v.asked {
		if q.seen == nil {
			v.show(q)
		}
		v.tell(q)
		v.check(v.t)
	}
	v.asked = nil
	v.askAll(v.hints)
	v.deliverAll()
	v.askAll(v.due)
	v.check(v.t) // who was hung up on connects again
	var want, got []string
	for _, m := range v.machines {
		if m.running {
			want = append(want, fmt.Sprintf("%s %s %d true", m.Name, m.UUID, m.ID))
		}
	}
	for _, g := range v.Status().Guests {
		got = append(got, fmt.Sprintf("%s %s %d %v", g.Name, g.Domain.UUID, g.Domain.ID, g.Pipes[0].Connected))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		v.t.Fatalf("guests %q, want those of the domains that run, connected: %q", got, want)
	}
}

func (v *libvirtd) askAll(machines map[int]bool) {
	for len(machines) > 0 { // there may be more meanwhile
		for n := range machines {
			delete(machines, n)
			q := &question{of: []int{n}, asOf: time.Now()}
			v.show(q)
			v.tell(q)
			v.check(v.t)
		}
	}
}

func (v *libvirtd) closeAll() {
	for _, m := range v.machines {
		if m.conn != nil {
			m.conn.Close()
		}
		v.ends = ends{}
		sink{v.Daemon}.Down(m.UUID, "", time.Now())
	}
}

// hungUp says whether the other end has closed a connection that nothing is to
// come on.
func hungUp(conn net.Conn) bool {
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return true
	}
	gone := false
	_ = raw.Control(func(fd uintptr) {
		n, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		gone = n == 0 && err == nil || err != nil && !errors.Is(err, syscall.EAGAIN)
	})
	return gone
}
