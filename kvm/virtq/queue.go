package virtq

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
)

// MaxSize is the largest queue that is served (VIRTQUEUE_MAX_SIZE, QEMU's
// include/hw/virtio/virtio.h), and the longest chain of an indirect table.
const MaxSize = 1024

// Where things are in the available ring and the used ring (virtio 1.2, sections
// 2.7.6 and 2.7.8). The event index follows the ring's entries in both.
const (
	ringFlags   = 0
	ringIndex   = 2
	ringEntries = 4
	availEntry  = 2 // bytes
	usedEntry   = 8
)

// noInterrupt is the guest's word that it wants no call (VIRTQ_AVAIL_F_NO_INTERRUPT).
const noInterrupt = 1

// Layout says where a queue is and how far it has come.
type Layout struct {
	Size              uint16 // descriptors: a power of two, at most MaxSize
	Desc, Avail, Used uint64 // user addresses
	Next              uint16 // index of the next chain to be taken
	EventIdx          bool   // VIRTIO_F_EVENT_IDX was negotiated
}

// Queue is one split virtqueue. It is for one goroutine.
type Queue struct {
	mem               *Memory
	size              uint16
	desc, avail, used []byte
	eventIdx          bool

	next    uint16 // of the available ring
	done    uint16 // of the used ring
	told    bool   // the guest was called since New
	barrier atomic.Uint32

	chain
}

// New finds a queue in a guest's memory.
func New(m *Memory, l Layout) (*Queue, error) {
	if l.Size == 0 || l.Size > MaxSize || l.Size&(l.Size-1) != 0 {
		return nil, fmt.Errorf("queue: its size is %d, a power of two up to %d is possible", l.Size, MaxSize)
	}
	q := &Queue{mem: m, size: l.Size, next: l.Next, eventIdx: l.EventIdx}
	for _, part := range []struct {
		name        string
		addr, align uint64 // virtio 1.2, section 2.7
		n           int
		to          *[]byte
	}{
		{"descriptor table", l.Desc, 16, descSize * int(l.Size), &q.desc},
		{"available ring", l.Avail, 2, ringEntries + availEntry*int(l.Size) + 2, &q.avail},
		{"used ring", l.Used, 4, ringEntries + usedEntry*int(l.Size) + 2, &q.used},
	} {
		if part.addr%part.align != 0 {
			return nil, fmt.Errorf("queue: its %s is at %#x, no multiple of %d", part.name, part.addr, part.align)
		}
		if *part.to = m.user(part.addr, part.n); *part.to == nil {
			return nil, fmt.Errorf("queue: its %s is at %#x, where the guest has no %d bytes of memory", part.name, part.addr, part.n)
		}
	}
	q.done = load16(q.used, ringIndex)
	return q, nil
}

// What a driver can do wrong.
var (
	errIndex    = errors.New("the available ring is ahead by more than it can hold")
	errHead     = errors.New("a chain begins outside of the descriptor table")
	errLink     = errors.New("a chain leads outside of its descriptor table")
	errLoop     = errors.New("a chain has more descriptors than it may, or is a loop")
	errReadable = errors.New("a buffer is not for the device to write to")
	errEmpty    = errors.New("a buffer is empty")
	errAddress  = errors.New("a buffer is outside of the guest's memory")
	errTable    = errors.New("an indirect table is not one")
	errNested   = errors.New("an indirect table is in another, or does not end its chain")
)

// Next takes the next chain, if there is one. It is the current one until Done.
func (q *Queue) Next() (bool, error) {
	waiting := load16(q.avail, ringIndex) - q.next
	if waiting == 0 {
		return false, nil
	}
	if waiting > q.size {
		return false, errIndex
	}
	head := binary.LittleEndian.Uint16(q.avail[ringEntries+availEntry*int(q.next%q.size):])
	if head >= q.size {
		return false, errHead
	}
	q.begin(q.desc, head)
	return true, nil
}

// Done gives the current chain back to the guest, with n bytes written to it, and
// says whether the guest wants to be called for that.
func (q *Queue) Done(n int) (call bool) {
	entry := q.used[ringEntries+usedEntry*int(q.done%q.size):]
	binary.LittleEndian.PutUint32(entry, uint32(q.head))
	binary.LittleEndian.PutUint32(entry[4:], uint32(n))
	before := q.done
	q.done++
	q.next++
	// The flags beside it are the device's, too: 0 asks for every kick.
	store32(q.used, 0, uint32(q.done)<<16)
	q.fence()
	call = !q.told || q.wants(before)
	q.told = true
	return call
}

// wants says whether the guest asked to be called when the used ring is beyond an
// index (virtio 1.2, section 2.7.7).
func (q *Queue) wants(index uint16) bool {
	if q.eventIdx {
		return load16(q.avail, ringEntries+availEntry*int(q.size)) == index
	}
	return load16(q.avail, ringFlags)&noInterrupt == 0
}

// Rest asks the guest for a kick when there is a chain, and says whether there is one
// already, for which no kick may come.
func (q *Queue) Rest() (more bool) {
	if q.eventIdx {
		store16(q.used, ringEntries+usedEntry*int(q.size), q.next)
		q.fence()
	}
	return load16(q.avail, ringIndex) != q.next
}

// Base is the index of the next chain to be taken: of the current one, too, as long
// as it is not done.
func (q *Queue) Base() uint16 { return q.next }
