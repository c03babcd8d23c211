package virtq

import "encoding/binary"

// A descriptor (virtio 1.2, section 2.7.5): address, length, flags, next.
const (
	descSize = 16

	flagNext     = 1 // VIRTQ_DESC_F_NEXT
	flagWrite    = 2 // VIRTQ_DESC_F_WRITE
	flagIndirect = 4 // VIRTQ_DESC_F_INDIRECT
)

// chain is the walk along one chain of descriptors.
type chain struct {
	head     uint16
	table    []byte // that it is in now
	indirect bool   // which is not the queue's own
	at       uint16 // the next descriptor of it
	more     bool   // there is one
	left     int    // how many there may be

	addr uint64 // of what is left of the last descriptor's buffer
	n    uint32
}

func (c *chain) begin(table []byte, head uint16) {
	*c = chain{head: head, table: table, at: head, more: true, left: len(table) / descSize}
}

// Buffer is the next piece of the current chain that is to be written to; nil and no
// error: there is no more. It is in the guest's memory, which the guest may change at
// any time.
func (q *Queue) Buffer() ([]byte, error) {
	for q.n == 0 {
		if !q.more {
			return nil, nil
		}
		if err := q.follow(); err != nil {
			return nil, err
		}
	}
	piece := q.mem.guest(q.addr, q.n)
	if len(piece) == 0 {
		return nil, errAddress
	}
	q.addr += uint64(len(piece))
	q.n -= uint32(len(piece))
	return piece, nil
}

// follow takes the next descriptor. Each of its fields is read once, for the guest
// may change it meanwhile.
func (q *Queue) follow() error {
	if q.left == 0 {
		return errLoop
	}
	q.left--
	d := q.table[descSize*int(q.at):][:descSize]
	addr, n := binary.LittleEndian.Uint64(d), binary.LittleEndian.Uint32(d[8:])
	flags, next := binary.LittleEndian.Uint16(d[12:]), binary.LittleEndian.Uint16(d[14:])
	if flags&flagIndirect != 0 {
		return q.descend(addr, n, flags)
	}
	switch {
	case flags&flagWrite == 0:
		return errReadable
	case n == 0:
		return errEmpty
	}
	q.addr, q.n = addr, n
	if q.more = flags&flagNext != 0; q.more {
		if int(next) >= len(q.table)/descSize {
			return errLink
		}
		q.at = next
	}
	return nil
}

// descend goes on in an indirect table (virtio 1.2, section 2.7.5.3). It is taken
// whether it was negotiated or not: QEMU 7.2 does not ask before it offers it.
func (q *Queue) descend(addr uint64, n uint32, flags uint16) error {
	if q.indirect || flags&flagNext != 0 {
		return errNested
	}
	if n == 0 || n%descSize != 0 || n/descSize > 1<<16 {
		return errTable
	}
	table := q.mem.guest(addr, n)
	if len(table) < int(n) {
		return errAddress
	}
	walked := int(q.size) - q.left
	q.indirect, q.table, q.at = true, table, 0
	q.left = min(len(table)/descSize, MaxSize-walked)
	return nil
}
