package ratelimit

import (
	"container/heap"
	"time"
)

// Quantum is what one turn gives at most while the supply is short, in bytes,
// and what a guest gets ahead of all others: 512 bits, the output of one
// SHA-512 block and the request of a Linux guest's hwrng core on x86
// (drivers/char/hw_random/core.c, rng_buffer_size).
const Quantum = 64

// scale is the number of virtual ticks that a flow of weight 1 pays for a byte:
// a multiple of many weights, so that rounding stays below 1 in 10^4.
const scale = 1 << 20

// order decides who is next while the supply is short. It is start-time fair
// queueing: a flow's request starts in virtual time where its last one ended,
// n bytes last n/weight, and the earliest start is served. So backlogged flows
// share by weight, whatever the sizes of their requests.
//
// Four things differ from the textbook (Goyal, Vin, Cheng, 1996):
//
//   - When a time of shortage begins (an epoch), flows start at phases spread
//     over one turn, not all at once: over any stretch of time, classes of many
//     small flows then get their share without bursts.
//   - A flow that left its turn unused keeps one turn, not more: who asks seldom
//     is served at once.
//   - Fresh flows are served before all others, first come first served, and
//     pay like everybody.
//   - A flow that was served a moment ago is waited for, if its next request will
//     start before those that are there (absent.go).
//
// Virtual time is compared by difference and may wrap.
type order struct {
	virtual int64
	began   int64 // virtual time at which this epoch began
	epoch   uint64
	flows   uint64 // ever made; spreads the phases
	joins   uint64 // ever; breaks ties first come first served
	waiting queue
	absent  absent
}

// flow is one tap's place in the order.
type flow struct {
	weight int64
	phase  int64  // of a turn, in 2^-20
	finish int64  // virtual time at which what it had is paid
	epoch  uint64 // in which finish was counted
	had    bool   // it has had something in that epoch

	// While it waits:
	n     int // bytes wanted, at most Quantum
	seq   uint64
	index int  // in the queue; -1: does not wait
	first bool // goes ahead of all that are not
	more  bool // its bucket will let it ask again within grace

	// While it is absent:
	until time.Duration // it is expected back
	seat  int           // among the absent; -1: it is not expected

	buf []byte // where the bytes go; of use to the scheduler alone
	got int
	ok  chan struct{}
}

// newFlow spreads phases by the golden ratio: any number of flows, in any
// classes, is spread evenly (Weyl's sequence).
func (o *order) newFlow(weight int) *flow {
	o.flows++
	const golden = 0x9e3779b97f4a7c15 // 2^64/φ
	return &flow{weight: int64(weight), phase: int64(o.flows * golden >> 44), index: -1, seat: -1}
}

// begin starts a time of shortage. What was taken in plenty took from nobody
// and is not held against anyone.
func (o *order) begin() {
	o.epoch++
	o.began = o.virtual
}

// cost is what a flow pays for n bytes, in virtual ticks.
func (f *flow) cost(n int) int64 { return int64(n) * scale / f.weight }

// settle brings a flow into this epoch, and forgets what it left unused beyond
// one turn. That turn is what pays the advance of a flow that is fresh when a
// shortage begins: where all guests are, as when a host starts, nobody owes
// anything after the first bytes, and no class has to be made up to for them.
func (o *order) settle(f *flow, first bool) {
	turn := f.cost(Quantum)
	if f.epoch != o.epoch {
		f.epoch, f.had = o.epoch, false
		f.finish = o.began + turn*f.phase>>20
		if first {
			f.finish -= turn
		}
	}
	if oldest := o.virtual - turn; f.finish-oldest < 0 {
		f.finish = oldest
	}
}

// indebted says whether a flow has had something that it has not yet paid for.
// It gets no advance then: else one that reconnects all the time would always
// be a turn ahead.
func (o *order) indebted(f *flow) bool {
	return f.epoch == o.epoch && f.had && f.finish-o.virtual > 0
}

// join lets a flow wait for n bytes.
func (o *order) join(f *flow, n int, first bool) {
	o.arrive(f)
	o.settle(f, first)
	o.joins++
	f.n, f.seq, f.first = n, o.joins, first
	heap.Push(&o.waiting, f)
}

// next is the flow whose turn it is, nil if none waits.
func (o *order) next() *flow {
	if len(o.waiting) == 0 {
		return nil
	}
	return o.waiting[0]
}

// leave takes a waiting flow out, unserved.
func (o *order) leave(f *flow) { heap.Remove(&o.waiting, f.index) }

// serve takes a waiting flow out that was given n bytes, and makes it pay.
func (o *order) serve(f *flow, n int) {
	o.leave(f)
	o.pay(f, n, f.first)
}

// charge makes a flow pay for n bytes that it was given at once, without
// waiting: nobody else waited, or it was fresh.
func (o *order) charge(f *flow, n int, first bool) {
	o.settle(f, first)
	o.pay(f, n, first)
}

// pay moves virtual time to where the flow's bytes start, unless it went ahead of
// others, and the flow's time to where they end.
func (o *order) pay(f *flow, n int, first bool) {
	if !first && f.finish-o.virtual > 0 {
		o.virtual = f.finish
	}
	f.finish += f.cost(n)
	f.had = true
}

// queue is a heap.Interface of waiting flows.
type queue []*flow

func (q queue) Len() int { return len(q) }

func (q queue) Less(i, j int) bool {
	a, b := q[i], q[j]
	switch {
	case a.first != b.first:
		return a.first
	case a.first || a.finish == b.finish:
		return a.seq < b.seq
	}
	return a.finish-b.finish < 0
}

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *queue) Push(x any) {
	f := x.(*flow)
	f.index = len(*q)
	*q = append(*q, f)
}

func (q *queue) Pop() any {
	last := len(*q) - 1
	f := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	f.index = -1
	return f
}
