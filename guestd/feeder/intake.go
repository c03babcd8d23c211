//go:build linux

package feeder

import (
	"errors"
	"sync/atomic"

	"headgate/backends/health"
	"headgate/guestd/kernelpool"
	"headgate/wire/feed"
)

const (
	// MinGather is the least number of bytes that are credited together: credit in
	// smaller pieces would let somebody who watches the output guess each piece
	// alone.
	MinGather = 32

	// Probation is how many bytes must pass the tests after a failure before
	// anything is credited again, like the samples of a start-up test (SP 800-90B
	// §4.3).
	Probation = 1024
)

// Pool is the kernel's pool; kernelpool.Pool is one.
type Pool interface {
	Add(data []byte, bits int) error
	Reseed() error
}

// Intake takes batches of bytes into the pool.
type Intake struct {
	Pool   Pool
	Credit Credit
	Cycles func() uint64 // mixed at each arrival, never credited

	monitor *health.Monitor
	entropy int // that the monitor was made for
	// Probation is how many bytes have still to pass before credit is given.
	Probation int

	epoch feed.Epoch
	held  [2 * MinGather]byte // fresh bytes of that epoch, too few to be credited yet
	n     int
	bits  int
	stale atomic.Bool // what is held is of before this guest's new life
}

// Renew says that this guest may have begun a new life. It may be called beside Take.
func (in *Intake) Renew() { in.stale.Store(true) }

// Outcome is what Take did with a batch.
type Outcome struct {
	Bits     int   // credited
	Gathered bool  // fresh bytes went in, enough of them, and the kernel reseeded
	Unready  bool  // bytes went in, but the kernel has not been credited enough to be seeded
	Failed   error // the health test that the batch failed
}

// Take mixes b, credits what may be credited and reseeds. Its error is that of
// the kernel's pool.
func (in *Intake) Take(b feed.Batch) (out Outcome, err error) {
	if len(b.Data) == 0 {
		return out, nil // garbage, or a part of a frame: it says nothing, not even an epoch
	}
	if in.stale.Swap(false) || b.Epoch != in.epoch || b.Pushed || b.More {
		in.spill(&err)
		in.epoch = b.Epoch
	}
	in.stamp(&err)
	stale, fresh := b.Data[:b.Fresh], b.Data[b.Fresh:]
	// The tests are dear, and no host that is well sends more at once than it may be
	// asked for: of what comes at once, no more than that is tested and credited.
	tested, claimed := b.Data[max(len(b.Data)-feed.MaxData, 0):], b.Bits
	if len(fresh) > len(tested) {
		claimed = claimed * len(tested) / len(fresh)
		stale, fresh = b.Data[:len(b.Data)-len(tested)], tested
	}
	entropy := in.Credit.entropy(len(fresh), claimed)
	if b.More { // a newer epoch may be queued behind all this
		stale, fresh = b.Data, nil
	}
	bits := in.Credit.bits(len(fresh), claimed)
	out.Failed = in.test(tested, entropy)
	if out.Failed != nil {
		in.spill(&err)
	}
	if out.Failed != nil || in.Probation > 0 {
		bits = 0
	}
	in.add(&err, stale, 0)
	if out.Failed == nil && in.n+len(fresh) < MinGather {
		in.n += copy(in.held[in.n:], fresh)
		in.bits += bits
		if len(stale) == 0 {
			return out, err
		}
	} else {
		out.Bits = in.give(&err, fresh, bits)
		out.Gathered = out.Failed == nil
	}
	if err == nil {
		err = in.Pool.Reseed()
	}
	if errors.Is(err, kernelpool.ErrNotReady) { // what was mixed counts at the first seed
		out.Gathered, out.Unready, err = false, true, nil
	}
	return out, err
}

// test runs the health tests over data, and returns the failure once: then the
// tests start afresh and the stream is on probation.
func (in *Intake) test(data []byte, entropy int) error {
	if in.monitor == nil || in.entropy != entropy {
		m, err := health.New(health.Params{MinEntropy: float64(entropy)})
		if err != nil {
			return err
		}
		in.monitor, in.entropy = m, entropy
	}
	err := in.monitor.Test(data)
	if err != nil {
		in.monitor.Reset()
		in.Probation = Probation
	} else {
		in.Probation = max(in.Probation-len(data), 0)
	}
	return err
}

// give adds fresh, together with what was held, and returns the bits credited.
func (in *Intake) give(err *error, fresh []byte, bits int) int {
	if in.n > 0 {
		n := copy(in.held[in.n:], fresh)
		in.add(err, fresh[n:], 0)
		fresh, bits = in.held[:in.n+n], min(in.bits+bits, 8*(in.n+n))
	}
	in.add(err, fresh, bits)
	in.drop()
	if *err != nil {
		return 0
	}
	return bits
}

// spill mixes what was held, without credit.
func (in *Intake) spill(err *error) {
	in.add(err, in.held[:in.n], 0)
	in.drop()
}

func (in *Intake) drop() {
	clear(in.held[:])
	in.n, in.bits = 0, 0
}

func (in *Intake) stamp(err *error) {
	b := stamp(in.Cycles())
	in.add(err, b[:], 0)
}

func stamp(cycles uint64) (b [8]byte) {
	for i := range b {
		b[i], cycles = byte(cycles), cycles>>8
	}
	return b
}

func (in *Intake) add(err *error, data []byte, bits int) {
	if *err == nil && len(data) > 0 {
		*err = in.Pool.Add(data, bits)
	}
}
