package egd

import "math"

// depth is how many answers can be owed before a client that asks for more is
// made to wait or cut off. Reads that follow each other are one answer.
const depth = 32

// An answer is owed to the client. n is how many bytes: all that is still owed
// for OpRead, as asked for OpReadNonblock.
type answer struct {
	n  uint32
	op byte
}

// debt is what the server owes a client, in the order of asking. Answers to
// OpRead carry no frame, so that those in a row are one sum: a flood of them
// costs nothing. Pure; not safe for concurrent use.
type debt struct {
	ring      [depth]answer
	head, len uint8
}

// add owes one answer more. It reports false, and owes nothing more, if there
// is no room.
func (d *debt) add(op byte, n uint32) bool {
	if op == OpRead {
		if n == 0 {
			return true
		}
		if d.len > 0 {
			last := &d.ring[(d.head+d.len-1)%depth]
			if last.op == OpRead && last.n <= math.MaxUint32-n {
				last.n += n
				return true
			}
		}
	}
	if d.len == depth {
		return false
	}
	d.ring[(d.head+d.len)%depth] = answer{n: n, op: op}
	d.len++
	return true
}

func (d *debt) empty() bool { return d.len == 0 }

// first is the answer that is due; the debt must not be empty.
func (d *debt) first() answer { return d.ring[d.head] }

// pay takes n bytes off the OpRead that is due, and is done with it at zero.
func (d *debt) pay(n int) {
	a := &d.ring[d.head]
	a.n -= uint32(n)
	if a.n == 0 {
		d.done()
	}
}

// done drops the answer that was due.
func (d *debt) done() {
	d.head = (d.head + 1) % depth
	d.len--
}
