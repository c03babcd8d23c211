package reservoir

import (
	"sync/atomic"

	"golang.org/x/sys/cpu"
)

// ring hands out bytes of mem, each once, to any number of takers without a
// lock. There is one producer at a time.
//
// A taker first reserves a number of bytes in avail, then gets their place from
// head: the sum of all places given is never above the sum of all reserved, so
// a place is always one that was published. Every published byte has exactly
// one owner, and left of its slot falls as owners finish wiping, so a slot with
// left 0 is zero and nobody's: it may be filled again.
type ring struct {
	mem  []byte         // len(left) slots of BlockSize bytes
	left []atomic.Int32 // bytes of each slot that are not yet wiped
	tail int            // slot to be filled next; the producer's

	_       cpu.CacheLinePad
	avail   atomic.Int64 // published and not reserved, in bytes; below 0 when drained for good
	_       cpu.CacheLinePad
	head    atomic.Int64 // bytes whose place was given, since the start
	_       cpu.CacheLinePad
	waiting atomic.Int32  // how many wait for a slot to become free
	freed   chan struct{} // wakes one of them, who wakes the next
}

func (r *ring) init(mem []byte) {
	r.mem = mem
	r.left = make([]atomic.Int32, len(mem)/BlockSize)
	r.freed = make(chan struct{}, 1)
}

// take moves up to len(p) bytes into p, as many as leave keep behind.
func (r *ring) take(p []byte, keep int) int {
	n := r.reserve(len(p), keep)
	if n > 0 {
		r.move(p[:n])
	}
	return n
}

func (r *ring) reserve(want, keep int) int {
	for {
		avail := r.avail.Load()
		if avail <= 0 {
			return 0
		}
		n := min(int64(want), avail-int64(max(keep, 0)))
		if n <= 0 {
			return 0
		}
		if r.avail.CompareAndSwap(avail, avail-n) {
			return int(n)
		}
	}
}

// move fills p with bytes that were reserved for it and wipes them.
func (r *ring) move(p []byte) {
	size := int64(len(r.left) * BlockSize)
	at := int((r.head.Add(int64(len(p))) - int64(len(p))) % size)
	for len(p) > 0 {
		slot, in := at/BlockSize, at%BlockSize
		src := r.mem[at:][:min(len(p), BlockSize-in)]
		n := copy(p, src)
		clear(src)
		if r.left[slot].Add(-int32(n)) == 0 && r.waiting.Load() > 0 {
			r.wake()
		}
		p = p[n:]
		if at += n; at == int(size) {
			at = 0
		}
	}
}

func (r *ring) wake() {
	select {
	case r.freed <- struct{}{}:
	default: // the one who takes the token that is there looks at the slots after us
	}
}

// await announces that the caller is about to wait on freed; it looks again
// at what it waits for before it does. leave ends that.
func (r *ring) await() { r.waiting.Add(1) }

// leave wakes the next who waits if there is now something for it to see.
func (r *ring) leave(pass bool) {
	if r.waiting.Add(-1) > 0 && pass {
		r.wake()
	}
}

// free tells whether the next slot may be filled. It stays true until publish.
func (r *ring) free() bool { return r.left[r.tail].Load() == 0 }

// slot is the memory to be filled next.
func (r *ring) slot() []byte {
	return r.mem[r.tail*BlockSize:][:BlockSize:BlockSize]
}

// publish hands the filled slot to the takers.
func (r *ring) publish() {
	r.left[r.tail].Store(BlockSize)
	r.tail = (r.tail + 1) % len(r.left)
	r.avail.Add(BlockSize)
}

// drain wipes what is left, for good, and returns when no taker is still at
// work in mem. No publish may follow.
func (r *ring) drain() {
	var sink [BlockSize]byte
	for rest := int(r.avail.Swap(-1)); rest > 0; {
		n := min(rest, len(sink))
		r.move(sink[:n])
		rest -= n
	}
	clear(sink[:])

	r.await()
	defer r.leave(true)
	for !r.wiped() {
		<-r.freed
	}
}

func (r *ring) wiped() bool {
	for i := range r.left {
		if r.left[i].Load() != 0 {
			return false
		}
	}
	return true
}
