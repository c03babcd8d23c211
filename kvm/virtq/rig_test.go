package virtq

import (
	"bytes"
	"testing"

	"headgate/kvm/vhost/vhosttest"
)

// rig is a queue and its driver, in memory that the race detector does not know, for
// it cannot know what the order of a guest's accesses is.
type rig struct {
	vhosttest.Ring
	t     testing.TB
	queue *Queue
}

// The rings have a page each of the memory, and there is the rest for buffers.
const (
	availAt = 16 << 10
	usedAt  = 20 << 10
	dataAt  = 32 << 10
	allOf   = 128 << 10
)

// newRig has rings that begin at an index.
func newRig(t testing.TB, size uint16, eventIdx bool, first uint16) *rig {
	t.Helper()
	m, err := vhosttest.NewMemory(allOf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	r := &rig{t: t, Ring: vhosttest.Ring{Memory: m, Size: size, Avail: availAt, Used: usedAt, EventIdx: eventIdx}}
	r.Reset(first)
	memory, err := NewMemory([]Region{{Guest: vhosttest.GuestBase, User: vhosttest.UserBase, Bytes: m.Bytes}})
	if err != nil {
		t.Fatal(err)
	}
	r.queue, err = New(memory, r.layout(first))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) layout(next uint16) Layout {
	const user = vhosttest.UserBase
	return Layout{Size: r.Size, Desc: user + r.Desc, Avail: user + r.Avail, Used: user + r.Used, Next: next, EventIdx: r.EventIdx}
}

func (r *rig) post(chain ...vhosttest.Desc) (head uint16) {
	r.t.Helper()
	head, err := r.Post(chain...)
	if err != nil {
		r.t.Fatal(err)
	}
	return head
}

// next takes the next chain.
func (r *rig) next() {
	r.t.Helper()
	if ok, err := r.queue.Next(); !ok || err != nil {
		r.t.Fatalf("there is a chain: %v, %v", ok, err)
	}
}

// pieces are those of the current chain, by offset and length.
func (r *rig) pieces() (all [][2]int) {
	r.t.Helper()
	for {
		p, err := r.queue.Buffer()
		if err != nil {
			r.t.Fatal(err)
		}
		if p == nil {
			return all
		}
		all = append(all, [2]int{offset(r.Memory.Bytes, p), len(p)})
	}
}

// took sees that the driver gets a chain back.
func (r *rig) took(head uint16, n int) {
	r.t.Helper()
	if got, bytes, ok, err := r.Take(); got != head || bytes != uint32(n) || !ok || err != nil {
		r.t.Fatalf("chain %d with %d bytes, %v, %v; want chain %d with %d", got, bytes, ok, err, head, n)
	}
}

// table writes an indirect table.
func (r *rig) table(at uint64, chain ...vhosttest.Desc) vhosttest.Desc {
	return (&vhosttest.Front{Ring: r.Ring}).Table(at, chain...)
}

// changes is where two states of a memory differ, from the first byte to after the last.
func changes(before, after []byte) (from, to int) {
	for from < len(before) && before[from] == after[from] {
		from++
	}
	to = len(before)
	for to > from && before[to-1] == after[to-1] {
		to--
	}
	return from, to
}

func snapshot(b []byte) []byte { return bytes.Clone(b) }
