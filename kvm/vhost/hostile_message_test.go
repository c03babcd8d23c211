package vhost

import (
	"errors"
	"fmt"
	"testing"

	"headgate/kvm/vhost/vhosttest"
	"headgate/wire/wiretest"
)

// hostileMessage is what a front end can send, and what is said of it.
type hostileMessage struct {
	name    string
	say     string
	request vhosttest.Request
	payload []byte
	fds     []int
}

// region is one of a memory table that is all right as to its addresses.
func region(fd int, size uint64) vhosttest.Region {
	return vhosttest.Region{Guest: 1 << 20, User: 1 << 40, Size: size, FD: fd}
}

func hostileMessages(t *testing.T) (all []hostileMessage) {
	kinds := descriptorsOf(t)
	memory, event := kinds["memory"], kinds["an eventfd"]
	add := func(name, say string, request vhosttest.Request, payload []byte, fds ...int) {
		all = append(all, hostileMessage{name, say, request, payload, fds})
	}
	table := func(name, say string, regions ...vhosttest.Region) {
		payload, fds := vhosttest.MemTable(regions...)
		add("a memory table: "+name, say, vhosttest.SetMemTable, payload, fds...)
	}

	for kind, fd := range kinds {
		if kind != "memory" {
			table(kind, "its file", region(fd, 1<<16))
		}
		if kind != "an eventfd" {
			say := "no eventfd"
			if kind == "an eventfd that blocks" {
				say = "blocks"
			}
			for _, request := range []vhosttest.Request{vhosttest.SetVringKick, vhosttest.SetVringCall} {
				add(fmt.Sprintf("event %d: %s", request, kind), say, request, vhosttest.Longs(0), fd)
			}
		}
	}
	for i := range all { // what the kernel says
		switch all[i].name {
		case "a memory table: sealed memory", "a memory table: memory to read", "a memory table: memory's name":
			all[i].say = "map it"
		case "a memory table: /dev/zero":
			all[i].say = "of a file of 0"
		case "a memory table: a folder in memory":
			all[i].say = "of a file of"
		case "a memory table: short memory":
			all[i].say = "of a file of 65535"
		case "a memory table: huge memory":
			all[i].say = "can be mapped"
		}
	}

	r := region(memory, 4096)
	with := func(f func(*vhosttest.Region)) vhosttest.Region {
		r := r
		f(&r)
		return r
	}
	table("beyond its end", "of a file of", with(func(r *vhosttest.Region) { r.Offset = 1<<16 - 4095 }))
	table("far beyond its end", "of a file of", with(func(r *vhosttest.Region) { r.Offset = 1<<64 - 4096 }))
	table("a size around the last number", "of a file of", with(func(r *vhosttest.Region) { r.Offset, r.Size = 4096, 1<<64-4096 }))
	table("an empty region", "0 bytes", with(func(r *vhosttest.Region) { r.Size = 0 }))
	table("a guest's address around the last", "beyond the last address", with(func(r *vhosttest.Region) { r.Guest = 1<<64 - 4095 }))
	table("an address around the last", "beyond the last address", with(func(r *vhosttest.Region) { r.User = 1<<64 - 4095 }))
	table("an odd place", "whole pages", with(func(r *vhosttest.Region) { r.Offset = 1 }))
	table("an odd size", "whole pages", with(func(r *vhosttest.Region) { r.Size = 4095 }))
	table("guest's addresses twice", "overlap", r, with(func(r *vhosttest.Region) { r.User += 1 << 20 }))
	table("addresses twice", "overlap", r, with(func(r *vhosttest.Region) { r.Guest += 1 << 20; r.User += 4095 &^ 3 }))
	table("no region", "0 regions")
	many := make([]vhosttest.Region, 9)
	for i := range many {
		many[i] = with(func(r *vhosttest.Region) { r.Guest += uint64(i) << 20; r.User += uint64(i) << 20 })
	}
	table("nine regions", "more than 8 descriptors", many...)
	payload, fds := vhosttest.MemTable(many...)
	add("a memory table of nine with eight files", "296 bytes", vhosttest.SetMemTable, payload, fds[:8]...)
	payload, fds = vhosttest.MemTable(many[:8]...)
	add("a memory table of eight with seven files", "with 7 files", vhosttest.SetMemTable, payload, fds[:7]...)
	add("a memory table of eight that ends early", "8 regions in 263 bytes", vhosttest.SetMemTable, payload[:263], fds...)
	payload, fds = vhosttest.MemTable(r)
	add("a memory table with two files for one", "with 2 files", vhosttest.SetMemTable, payload, fds[0], fds[0])
	add("a memory table that goes on", "1 regions in 41 bytes", vhosttest.SetMemTable, append(payload, 0), fds...)
	add("a memory table without a number", "4 bytes", vhosttest.SetMemTable, payload[:4], fds...)
	add("a memory table of 2^32-1", "4294967295 regions", vhosttest.SetMemTable, vhosttest.Words(1<<32-1, 0))

	for _, request := range []vhosttest.Request{vhosttest.SetVringKick, vhosttest.SetVringCall, vhosttest.SetVringErr} {
		name := fmt.Sprintf("event %d", request)
		add(name+" with two", "at most 1", request, vhosttest.Longs(0), event, event)
		add(name+" with 9", "more than 8 descriptors", request, vhosttest.Longs(0), event, event, event, event, event, event, event, event, event)
		add(name+" of 4 bytes", "has 4 bytes", request, vhosttest.Words(0), event)
		if request == vhosttest.SetVringErr {
			continue // which nobody looks at
		}
		add(name+" of queue 1", "queue 0 alone", request, vhosttest.Longs(1), event)
		add(name+" of queue 2^63", "queue 0 alone", request, vhosttest.Longs(1<<63), event)
		add(name+" with one that is not there", "promised", request, vhosttest.Longs(vhosttest.NoFD), event)
		add(name+" without the one that is there", "promised", request, vhosttest.Longs(0))
	}
	add("no kick", "polled", vhosttest.SetVringKick, vhosttest.Longs(vhosttest.NoFD))

	add("features of a log", "migration", vhosttest.SetFeatures, vhosttest.Longs(vhosttest.FeatureVersion1|vhosttest.FeatureLogAll))
	add("features of a packed queue", "packed", vhosttest.SetFeatures, vhosttest.Longs(vhosttest.FeatureVersion1|1<<34))
	add("features of translated addresses", "translate", vhosttest.SetFeatures, vhosttest.Longs(vhosttest.FeatureVersion1|1<<33))
	add("a log", "migration", vhosttest.SetLogBase, vhosttest.Longs(4096, 0), memory)
	add("a log's event", "migration", vhosttest.SetLogFD, nil, event)
	add("a ring with a log", "migration", vhosttest.SetVringAddr, append(vhosttest.Words(0, 1), vhosttest.Longs(0, 0, 0, 0)...))

	for _, request := range []vhosttest.Request{vhosttest.SetVringNum, vhosttest.SetVringBase, vhosttest.GetVringBase, vhosttest.SetVringEnable} {
		name := fmt.Sprintf("message %d", request)
		add(name+" of queue 1", "queue 0 alone", request, vhosttest.Words(1, 0))
		add(name+" of 4 bytes", "has 4 bytes", request, vhosttest.Words(0))
		add(name+" of 12 bytes", "has 12 bytes", request, vhosttest.Words(0, 0, 0))
		add(name+" with a descriptor", "came with 1 descriptors", request, vhosttest.Words(0, 0), event)
	}
	add("a ring of queue 1", "queue 0 alone", vhosttest.SetVringAddr, append(vhosttest.Words(1, 0), vhosttest.Longs(0, 0, 0, 0)...))
	for _, request := range []vhosttest.Request{vhosttest.GetFeatures, vhosttest.SetOwner, vhosttest.ResetOwner, vhosttest.GetProtocolFeatures, vhosttest.GetQueueNum} {
		add(fmt.Sprintf("message %d of a byte", request), "has 1 bytes", request, make([]byte, 1))
		add(fmt.Sprintf("message %d with a descriptor", request), "came with 1 descriptors", request, nil, memory)
	}
	for _, request := range []vhosttest.Request{
		0, vhosttest.SendRARP, vhosttest.NetSetMTU, vhosttest.SetBackendReqFD, vhosttest.GetConfig, vhosttest.SetConfig,
		vhosttest.GetInflightFD, vhosttest.SetInflightFD, vhosttest.ResetDevice, vhosttest.GetMaxMemSlots, vhosttest.AddMemReg,
		vhosttest.RemMemReg, vhosttest.SetStatus, vhosttest.GetStatus, 41, 1<<32 - 1,
	} {
		add(fmt.Sprintf("message %d", request), "is not known", request, vhosttest.Longs(0), event)
	}
	add("a payload too long", "at most 264", vhosttest.SetMemTable, make([]byte, 265))
	return all
}

// Messages that cannot be obeyed end the device that they came to, and no other,
// whether an answer is wanted or not.
func TestHostileMessages(t *testing.T) {
	leakless(t)
	beside(t)
	for _, c := range hostileMessages(t) {
		for _, flags := range []uint32{vhosttest.Version, vhosttest.Version | vhosttest.NeedReply} {
			t.Run(fmt.Sprintf("%s, %d", c.name, flags), func(t *testing.T) {
				leakless(t)
				r := start(t, new(wiretest.Endless), vhosttest.Options{})
				r.read(64)
				m := vhosttest.Message{Request: c.request, Flags: flags, Payload: c.payload}
				if err := r.Send(m.Bytes(), c.fds...); err != nil {
					t.Fatal(err)
				}
				if c.say == "migration" || c.say == "packed" || c.say == "translate" {
					if flags&vhosttest.NeedReply != 0 { // QEMU then says so, and goes on
						reply, err := r.Recv()
						if v, bad := reply.U64(); err != nil || bad != nil || v == 0 {
							t.Fatalf("answered with %d: %v", v, errors.Join(err, bad))
						}
						r.read(64)
						return
					}
				}
				r.stopped(c.say)
			})
		}
	}
}
