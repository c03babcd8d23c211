package vhost

import (
	"fmt"
	"testing"

	"headgate/kvm/vhost/vhosttest"
	"headgate/wire/wiretest"
)

const (
	next     = vhosttest.Next
	write    = vhosttest.Write
	indirect = vhosttest.Indirect
)

// hostileQueue is the size of the queue in which a hostile guest writes.
const hostileQueue = 8

// hostileRings are what a guest can write into its rings, and what is said of it.
var hostileRings = []struct {
	name  string
	say   string
	write func(r *rig, buffer vhosttest.Desc)
}{
	{"a loop of one", "loop", func(r *rig, d vhosttest.Desc) {
		d.Flags |= next
		r.SetDesc(0, d)
		r.Offer(0)
	}},
	{"a loop of all", "loop", func(r *rig, d vhosttest.Desc) {
		d.Flags |= next
		for i := range uint16(hostileQueue) {
			d.Next = (i + 1) % hostileQueue
			r.SetDesc(i, d)
		}
		r.Offer(3)
	}},
	{"a loop in a table", "loop", func(r *rig, d vhosttest.Desc) {
		table := r.Table(r.Data+4096, d, d, d)
		d.Flags |= next
		r.PutDesc(r.Data+4096+32, d) // the third leads to the first
		r.SetDesc(0, table)
		r.Offer(0)
	}},
	{"a chain of more than 1024", "loop", func(r *rig, d vhosttest.Desc) {
		d.Len = 1
		chain := make([]vhosttest.Desc, 1025)
		for i := range chain {
			chain[i] = d
		}
		r.SetDesc(0, r.Table(r.Data+4096, chain...))
		r.Offer(0)
	}},
	{"more than 1024 in a chain and its table", "loop", func(r *rig, d vhosttest.Desc) {
		d.Len = 1
		chain := make([]vhosttest.Desc, 1020)
		for i := range chain {
			chain[i] = d
		}
		table := r.Table(r.Data+4096, chain...)
		d.Flags |= next
		for i := range uint16(hostileQueue - 1) {
			d.Next = i + 1
			r.SetDesc(i, d)
		}
		r.SetDesc(hostileQueue-1, table)
		r.Offer(0)
	}},
	{"a buffer to read from", "not for the device to write", func(r *rig, d vhosttest.Desc) {
		d.Flags = 0
		r.SetDesc(0, d)
		r.Offer(0)
	}},
	{"a buffer to read from after one to write to", "not for the device to write", func(r *rig, d vhosttest.Desc) {
		d.Flags, d.Next = write|next, 1
		r.SetDesc(0, d)
		d.Flags = 0
		r.SetDesc(1, d)
		r.Offer(0)
	}},
	{"a buffer to read from in a table", "not for the device to write", func(r *rig, d vhosttest.Desc) {
		d.Flags = 0
		r.SetDesc(0, r.Table(r.Data+4096, d))
		r.Offer(0)
	}},
	{"an empty buffer", "empty", func(r *rig, d vhosttest.Desc) {
		d.Len = 0
		r.SetDesc(0, d)
		r.Offer(0)
	}},
	{"an empty buffer after one", "empty", func(r *rig, d vhosttest.Desc) {
		d.Flags, d.Next = write|next, 1
		r.SetDesc(0, d)
		d.Flags, d.Len = write, 0
		r.SetDesc(1, d)
		r.Offer(0)
	}},
	{"4 GiB that go beyond the end", "outside of the guest's memory", func(r *rig, d vhosttest.Desc) {
		d.Addr, d.Len = r.end()-1024, 1<<32-1
		r.SetDesc(0, d)
		r.Offer(0)
	}},
	{"the byte after the last", "outside of the guest's memory", func(r *rig, d vhosttest.Desc) {
		d.Addr, d.Len = r.end(), 1
		r.SetDesc(0, d)
		r.Offer(0)
	}},
	{"the byte before the first", "outside of the guest's memory", func(r *rig, d vhosttest.Desc) {
		d.Addr, d.Len = vhosttest.GuestBase-1, 2
		r.SetDesc(0, d)
		r.Offer(0)
	}},
	{"address 0", "outside of the guest's memory", func(r *rig, d vhosttest.Desc) {
		d.Addr = 0
		r.SetDesc(0, d)
		r.Offer(0)
	}},
	{"an address of the front end's", "outside of the guest's memory", func(r *rig, d vhosttest.Desc) {
		d.Addr = vhosttest.UserBase + r.Data
		r.SetDesc(0, d)
		r.Offer(0)
	}},
	{"an address of hostd's", "outside of the guest's memory", func(r *rig, d vhosttest.Desc) {
		d.Addr = uint64(addressOf(&r.Memory.Bytes[0]))
		r.SetDesc(0, d)
		r.Offer(0)
	}},
	{"a buffer around the last address", "outside of the guest's memory", func(r *rig, d vhosttest.Desc) {
		d.Addr = 1<<64 - 8
		r.SetDesc(0, d)
		r.Offer(0)
	}},
	{"a head beyond the table", "begins outside of the descriptor table", func(r *rig, d vhosttest.Desc) {
		r.Offer(hostileQueue)
	}},
	{"a head far beyond the table", "begins outside of the descriptor table", func(r *rig, d vhosttest.Desc) {
		r.Offer(65535)
	}},
	{"a link beyond the table", "leads outside of its descriptor table", func(r *rig, d vhosttest.Desc) {
		d.Flags, d.Next = write|next, hostileQueue
		r.SetDesc(0, d)
		r.Offer(0)
	}},
	{"a link beyond an indirect table", "leads outside of its descriptor table", func(r *rig, d vhosttest.Desc) {
		table := r.Table(r.Data+4096, d, d)
		d.Flags, d.Next = write|next, 2
		r.PutDesc(r.Data+4096+16, d)
		r.SetDesc(0, table)
		r.Offer(0)
	}},
	{"an index too far ahead", "ahead by more than it can hold", func(r *rig, d vhosttest.Desc) {
		r.SetDesc(0, d)
		r.SetAvailIdx(r.Taken() + hostileQueue + 1)
	}},
	{"an index that goes back", "ahead by more than it can hold", func(r *rig, d vhosttest.Desc) {
		r.SetAvailIdx(r.Taken() - 1)
	}},
	{"a table in a table", "in another", func(r *rig, d vhosttest.Desc) {
		inner := r.Table(r.Data+8192, d)
		r.SetDesc(0, r.Table(r.Data+4096, d, inner))
		r.Offer(0)
	}},
	{"a table in itself", "in another", func(r *rig, d vhosttest.Desc) {
		inner := r.Table(r.Data+4096, d)
		r.PutDesc(r.Data+4096, inner)
		r.SetDesc(0, inner)
		r.Offer(0)
	}},
	{"a table that does not end its chain", "does not end its chain", func(r *rig, d vhosttest.Desc) {
		table := r.Table(r.Data+4096, d)
		table.Flags |= next
		table.Next = 1
		r.SetDesc(0, table)
		r.SetDesc(1, d)
		r.Offer(0)
	}},
	{"an empty table", "table is not one", badTable(0)},
	{"half a descriptor in a table", "table is not one", badTable(8)},
	{"a descriptor and a byte in a table", "table is not one", badTable(17)},
	{"a table of 4 GiB", "table is not one", badTable(1<<32 - 16)},
	{"a table around the end of the memory", "outside of the guest's memory", func(r *rig, d vhosttest.Desc) {
		r.SetDesc(0, vhosttest.Desc{Addr: r.end() - 16, Len: 32, Flags: indirect})
		r.Offer(0)
	}},
	{"a table out of the memory", "outside of the guest's memory", func(r *rig, d vhosttest.Desc) {
		r.SetDesc(0, vhosttest.Desc{Addr: r.end(), Len: 16, Flags: indirect})
		r.Offer(0)
	}},
}

func badTable(n uint32) func(*rig, vhosttest.Desc) {
	return func(r *rig, d vhosttest.Desc) {
		table := r.Table(r.Data+4096, d)
		table.Len = n
		r.SetDesc(0, table)
		r.Offer(0)
	}
}

// end is the first address in the guest that is not in its memory.
func (r *rig) end() uint64 { return vhosttest.GuestBase + uint64(len(r.Memory.Bytes)) }

// A guest whose rings are hostile loses its device, which says why; the next guest is
// served on.
func TestHostileRings(t *testing.T) {
	leakless(t)
	beside(t)
	for _, eventIdx := range []bool{false, true} {
		for _, c := range hostileRings {
			t.Run(fmt.Sprintf("%s, %v", c.name, eventIdx), func(t *testing.T) {
				leakless(t)
				r := start(t, new(wiretest.Endless), vhosttest.Options{QueueSize: hostileQueue, EventIdx: eventIdx})
				r.read(64)
				c.write(r, vhosttest.Buffer(r.Data, 64))
				if err := r.ForceKick(); err != nil {
					t.Fatal(err)
				}
				r.stopped(c.say)
				if got := r.UsedIdx(); got != 1 {
					t.Errorf("the used index is %d: the chain was given back", got)
				}
			})
		}
	}
}
