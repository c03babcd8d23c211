package virtq

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"
)

// Both sides of a queue tell each other how far they are by numbers of 16 bits, for
// which sync/atomic has nothing. They are read and written with the aligned word
// around them, which is in the same region: a region consists of whole words.

const word = 4 // bytes

// load16 reads the number of 16 bits, aligned, at off; what the guest wrote before it
// is seen after it. All of virtio is little-endian (virtio 1.2, section 1.4), and so
// is every host that runs this.
func load16(b []byte, off int) uint16 {
	p := unsafe.Pointer(&b[off])
	_ = b[off+1]
	if uintptr(p)%word != 0 {
		return uint16(atomic.LoadUint32((*uint32)(unsafe.Add(p, -2))) >> 16)
	}
	return uint16(atomic.LoadUint32((*uint32)(p)))
}

// store32 writes a whole word, and after all that was written before.
func store32(b []byte, off int, v uint32) {
	_ = b[off+3]
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&b[off])), v)
}

// store16 writes a number beside which the guest may write another one. What is read
// after fence is not older than it.
func store16(b []byte, off int, v uint16) { binary.LittleEndian.PutUint16(b[off:], v) }

// fence orders what was written before it before what is loaded atomically after it:
// an exchange is a full barrier on amd64, and on arm64 one that releases, which a load
// that acquires does not overtake (Arm ARM, B2.3.11).
func (q *Queue) fence() { q.barrier.Swap(0) }
