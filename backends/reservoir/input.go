package reservoir

import (
	"context"
	"errors"
	"os"
	"slices"
)

// origin is one piece of noise, however many inputs read it: what they bring may
// be the same, so each has to bring a full share alone.
type origin struct {
	name   string
	inputs []*Input
	whole  uint64 // bits poured since the start
	part   credit // and what is less than a bit
}

func (o *origin) count(c credit) {
	o.part += c
	o.whole += uint64(o.part / bit)
	o.part %= bit
}

// ready tells whether one of its inputs that count has brought a full share.
func (o *origin) ready() bool {
	return slices.ContainsFunc(o.inputs, func(in *Input) bool { return in.credited && in.share >= fullShare })
}

var errNoOrigin = errors.New("pour: the origin of the samples is not set")

// Input is the way of one source into the reservoir.
type Input struct {
	res      *Reservoir
	origin   *origin
	share    credit // what it brought into the block in work
	credited bool   // and whether that counts
	closed   bool
}

// Input adds a source. Begin says which piece of noise it reads, as soon as that is
// known; nothing can be poured before.
func (r *Reservoir) Input() *Input { return &Input{res: r} }

// Begin says where what is poured from now on comes from and whether it counts, and
// forfeits what was poured before: a source that was gone may have come back as
// another. Inputs of one origin count once for MinSources; an empty origin is an
// origin, too: those of whom nothing is known may be the same.
//
// What does not count is mixed in like the rest, into each block at most as much as
// would make one if it counted. No block waits for it.
func (in *Input) Begin(name string, credited bool) {
	r := in.res
	r.mu.Lock()
	defer r.mu.Unlock()
	if in.closed {
		return
	}
	i := slices.IndexFunc(r.origins, func(o *origin) bool { return o.name == name })
	if i < 0 {
		i = len(r.origins)
		r.origins = append(r.origins, &origin{name: name})
	}
	next := r.origins[i]
	next.inputs = append(next.inputs, in) // first, so that the same origin is not forgotten
	in.leave()
	in.origin, in.credited = next, credited
	r.changed()
}

// leave takes the input out of its origin, and forgets one that nobody reads any
// more: a FIFO that is made anew each minute has another each time. The reservoir is
// locked.
func (in *Input) leave() {
	in.share = 0
	o := in.origin
	if o == nil {
		return
	}
	in.origin = nil
	at := slices.Index(o.inputs, in)
	o.inputs = slices.Delete(o.inputs, at, at+1)
	if len(o.inputs) == 0 {
		in.res.origins = slices.DeleteFunc(in.res.origins, func(other *origin) bool { return other == o })
	}
}

// Pour mixes samples, assessed at h bits of min-entropy each, 0 < h <= 8, into
// the block in work, and into the next ones as it finishes them. It waits while
// the reservoir is full and while this input's share of the block in work is full
// and another's is not, so that a fast source is not used up for nothing. What does
// not count does not wait for room: it finishes no block, and so is in the next one
// before those that do.
//
// It returns the context's error when that ends and os.ErrClosed after Close;
// samples that were not mixed by then are not counted. samples remain the
// caller's, who clears them.
func (in *Input) Pour(ctx context.Context, samples []byte, h float64) error {
	each, err := perSample(h)
	if err != nil {
		return err
	}
	r := in.res
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(samples) > 0 {
		if err := in.admit(ctx); err != nil {
			return err
		}
		n := min(int64(len(samples)), int64((fullShare-in.share+each-1)/each))
		r.hash.Write(samples[:n])
		samples = samples[n:]
		in.share += credit(n) * each
		if in.credited {
			in.origin.count(credit(n) * each)
		}
		if r.ready() < r.minSources {
			continue
		}
		r.finish()
		if f := r.onFill; f != nil {
			r.mu.Unlock()
			f()
			r.mu.Lock()
		}
	}
	return nil
}

// admit returns nil when the block in work has a place to go to and needs this
// input. It gives the lock away while it waits.
func (in *Input) admit(ctx context.Context) error {
	r := in.res
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch full := in.share >= fullShare; {
		case in.closed || r.closed:
			return os.ErrClosed
		case in.origin == nil:
			return errNoOrigin
		case full:
			r.stats.SourceWaits++
			r.park(ctx, nil)
		case in.credited && !r.ring.free():
			r.ring.await()
			if !r.ring.free() { // a taker that freed it just now did not see us
				r.stats.RoomWaits++
				r.park(ctx, r.ring.freed)
			}
			r.ring.leave(r.closed || r.ring.free())
		default:
			return nil
		}
	}
}

// Forfeit drops what this input brought into the block in work, as when its source
// fails a test. The samples stay mixed in, where they can do no harm, and count
// for nothing.
func (in *Input) Forfeit() {
	in.res.mu.Lock()
	defer in.res.mu.Unlock()
	in.share = 0
	in.res.changed()
}

// Close forfeits and takes the source out. A Pour in progress returns os.ErrClosed.
func (in *Input) Close() {
	in.res.mu.Lock()
	defer in.res.mu.Unlock()
	in.closed = true
	in.leave()
	in.res.changed()
}
