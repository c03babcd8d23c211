package vhosttest

import (
	"errors"
	"fmt"
)

// Flags of a descriptor (linux/virtio_ring.h).
const (
	Next     = 1
	Write    = 2 // by the device
	Indirect = 4
)

// Sizes in bytes of what is in a ring (virtio 1.2, section 2.7).
const (
	descSize     = 16
	usedElemSize = 8
)

// Desc is a descriptor.
type Desc struct {
	Addr  uint64 // in the guest
	Len   uint32
	Flags uint16
	Next  uint16
}

// Ring is the driver's side of a split virtqueue (virtio 1.2, section 2.7).
//
// Post and Take keep to the rules; the other methods write and read what they are told.
type Ring struct {
	Memory            *Memory
	Size              uint16
	Desc, Avail, Used uint64 // where in the memory they are
	EventIdx          bool   // VIRTIO_F_EVENT_IDX was agreed on

	avail  uint16   // index of the next chain to be made available
	kicked uint16   // and what it was when the device was last told
	taken  uint16   // index of the next used entry
	link   []uint16 // of the descriptors that are free, and of those in a chain
	count  []uint16 // by head: how many the chain has
	free   uint16   // the first that is free
	left   int      // how many are
}

var errFull = errors.New("the ring has no descriptor left")

// Reset is what a driver does with a new ring, but that it begins at an index
// other than 0 if told so.
func (r *Ring) Reset(first uint16) {
	n := uint64(r.Size)
	clear(r.Memory.Bytes[r.Desc:][:descSize*n])
	clear(r.Memory.Bytes[r.Avail:][:6+2*n])
	clear(r.Memory.Bytes[r.Used:][:6+usedElemSize*n])
	r.avail, r.kicked, r.taken, r.free, r.left = first, first, first, 0, int(r.Size)
	r.link, r.count = make([]uint16, n), make([]uint16, n)
	for i := range r.link {
		r.link[i] = uint16(i + 1)
	}
	r.SetAvailIdx(first)
	r.Memory.store(r.Used+2, first)
	r.Memory.store(r.usedEventAt(), first)
	r.Memory.store(r.availEventAt(), first)
}

// Post makes a chain of descriptors available. Next is set here.
func (r *Ring) Post(chain ...Desc) (head uint16, err error) {
	if len(chain) == 0 || len(chain) > r.left {
		return 0, errFull
	}
	head = r.free
	for i, d := range chain {
		at := r.free
		r.free = r.link[at]
		d.Next = 0
		if i+1 < len(chain) {
			d.Flags, d.Next = d.Flags|Next, r.free
		}
		r.SetDesc(at, d)
	}
	r.left -= len(chain)
	r.count[head] = uint16(len(chain))
	r.Offer(head)
	return head, nil
}

// Offer makes the chain that begins at head available, whatever head is.
func (r *Ring) Offer(head uint16) {
	r.Memory.Put16(r.Avail+4+2*uint64(r.avail%r.Size), head)
	r.avail++
	r.SetAvailIdx(r.avail)
}

// Take is the next chain that the device has used, and how many bytes it says
// it wrote; false: there is none. An error says what the device did wrong.
func (r *Ring) Take() (head uint16, n uint32, ok bool, err error) {
	idx := r.UsedIdx()
	if idx == r.taken {
		return 0, 0, false, nil
	}
	if ahead := idx - r.taken; ahead > r.Size {
		return 0, 0, false, fmt.Errorf("the used index is %d, %d ahead, of a ring of %d", idx, ahead, r.Size)
	}
	id, n := r.UsedElem(r.taken)
	if id >= uint32(r.Size) || r.count[id] == 0 {
		return 0, 0, false, fmt.Errorf("chain %d was used, which was not posted", id)
	}
	head = uint16(id)
	last := head
	for range r.count[head] - 1 {
		last = r.link[last]
	}
	r.left += int(r.count[head])
	r.count[head] = 0
	r.link[last], r.free = r.free, head
	r.taken++
	return head, n, true, nil
}

// Await says that the driver wants to be told of the next used entry; what has come
// meanwhile it must look for itself.
func (r *Ring) Await() {
	if r.EventIdx {
		r.Memory.store(r.usedEventAt(), r.taken)
	}
}

// MustKick says whether the device wants to be told of what was made available since
// the last time that this was asked (virtio 1.2, section 2.7.10).
func (r *Ring) MustKick() bool {
	before := r.kicked
	r.kicked = r.avail
	if before == r.avail {
		return false
	}
	if !r.EventIdx {
		return r.Memory.load(r.Used)&1 == 0 // VIRTQ_USED_F_NO_NOTIFY
	}
	return r.avail-r.AvailEvent()-1 < r.avail-before // vring_need_event
}

// Taken is the index of the next used entry that Take looks for.
func (r *Ring) Taken() uint16 { return r.taken }

// SetDesc writes a descriptor into the table.
func (r *Ring) SetDesc(i uint16, d Desc) { r.PutDesc(r.Desc+descSize*uint64(i), d) }

// PutDesc writes a descriptor at an offset of the memory, as into an indirect table.
func (r *Ring) PutDesc(at uint64, d Desc) {
	r.Memory.Put64(at, d.Addr)
	r.Memory.Put32(at+8, d.Len)
	r.Memory.Put16(at+12, d.Flags)
	r.Memory.Put16(at+14, d.Next)
}

// SetAvailIdx writes the index of the available ring.
func (r *Ring) SetAvailIdx(v uint16) { r.Memory.store(r.Avail+2, v) }

// SetAvailFlags writes the flags of the available ring; 1: no interrupt.
func (r *Ring) SetAvailFlags(v uint16) { r.Memory.store(r.Avail, v) }

// SetUsedEvent writes which used entry the driver wants to be told of.
func (r *Ring) SetUsedEvent(v uint16) { r.Memory.store(r.usedEventAt(), v) }

// AvailEvent is which available entry the device wants to be told of.
func (r *Ring) AvailEvent() uint16 { return r.Memory.load(r.availEventAt()) }

// UsedFlags are the flags of the used ring; 1: no kick.
func (r *Ring) UsedFlags() uint16 { return r.Memory.load(r.Used) }

// UsedIdx is the index of the used ring.
func (r *Ring) UsedIdx() uint16 { return r.Memory.load(r.Used + 2) }

// UsedElem is what the device wrote into a place of the used ring.
func (r *Ring) UsedElem(index uint16) (id, n uint32) {
	at := r.Used + 4 + usedElemSize*uint64(index%r.Size)
	return r.Memory.Get32(at), r.Memory.Get32(at + 4)
}

func (r *Ring) usedEventAt() uint64  { return r.Avail + 4 + 2*uint64(r.Size) }
func (r *Ring) availEventAt() uint64 { return r.Used + 4 + usedElemSize*uint64(r.Size) }
