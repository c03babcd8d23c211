package ratelimit

import (
	"container/heap"
	"time"
)

// grace is how long a flow that was served counts as about to ask again. A guest
// has one request on its way at a time, and its next comes only after a trip
// through QEMU: some 100 µs, and some 10 ms where the host is busy. Blocks of
// supply come in bursts (a window of raw samples makes several), so that without
// it each burst would be shared out turn by turn, whatever the weights.
const grace = 50 * time.Millisecond

// heldBack is the most that is kept in hand for flows that are about to ask, in
// bytes: four of the largest bursts that one window of samples makes.
const heldBack = 32 * Quantum

// absent are the flows that were served within the last grace and do not wait, by
// the virtual time at which their next request will start. A flow that waits and
// starts after one of them lets it go first: SFQ serves who starts earliest, and
// that one only has not had the time to say so. What nobody takes meanwhile is not
// lost, it stays in the supply.
type absent []*flow

// depart expects a flow that was served back within grace.
func (o *order) depart(f *flow, now time.Duration) {
	if f.seat < 0 {
		f.until = now + grace
		heap.Push(&o.absent, f)
	}
}

// arrive takes a flow that waits, or is gone for good, off the absent.
func (o *order) arrive(f *flow) {
	if f.seat >= 0 {
		heap.Remove(&o.absent, f.seat)
	}
}

// awaited says until when a flow whose request starts at some virtual time has to
// let an absent one go first; now or earlier: there is none.
func (o *order) awaited(start int64, now time.Duration) (until time.Duration) {
	for len(o.absent) > 0 {
		switch a := o.absent[0]; {
		case a.until <= now || a.epoch != o.epoch:
			heap.Pop(&o.absent)
		case a.finish-start < 0:
			return a.until
		default:
			return now
		}
	}
	return now
}

func (q absent) Len() int           { return len(q) }
func (q absent) Less(i, j int) bool { return q[i].finish-q[j].finish < 0 }

func (q absent) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].seat, q[j].seat = i, j
}

func (q *absent) Push(x any) {
	f := x.(*flow)
	f.seat = len(*q)
	*q = append(*q, f)
}

func (q *absent) Pop() any {
	last := len(*q) - 1
	f := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	f.seat = -1
	return f
}
