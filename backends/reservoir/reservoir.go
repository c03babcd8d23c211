package reservoir

import (
	"context"
	"crypto/sha512"
	"fmt"
	"hash"
	"sync"
)

// MaxSize is the largest reservoir, in bytes: far above what it is good for, and
// small enough that no arithmetic overflows.
const MaxSize = 1 << 30

// Config says how much is kept and what is needed to make it.
type Config struct {
	Size       int // bytes kept, 1 to MaxSize; rounded up to whole blocks
	MinSources int // origins that must each bring a full share into a block; 0 means 1
}

// Stats says what the reservoir has done since it was made.
type Stats struct {
	Blocks      uint64            `json:"blocks"`            // finished
	Bytes       uint64            `json:"conditioned_bytes"` // in those
	EntropyBits map[string]uint64 `json:"entropy_bits"`      // poured by each origin that has an input, in whole bits that count
	MinSources  int               `json:"min_sources"`
	Ready       int               `json:"ready_sources"` // origins with a full share in the block in work
	RoomWaits   uint64            `json:"room_waits"`    // pours that had to wait because it was full
	SourceWaits uint64            `json:"source_waits"`  // pours that had to wait for another origin
}

// Reservoir holds conditioned bytes until they are taken.
type Reservoir struct {
	ring       ring
	release    func() error // gives the ring's memory back
	minSources int
	closing    sync.Once

	mu      sync.Mutex // guards what follows, and is the ring's producer side
	hash    hash.Hash  // of all that was poured into the block in work
	origins []*origin
	onFill  func()
	parked  int           // how many wait for event
	event   chan struct{} // closed and replaced when something changed for who waits
	closed  bool
	stats   Stats
}

// New makes an empty reservoir. It fails when the memory cannot be locked, and when
// SelfTest does.
func New(c Config) (*Reservoir, error) { return newTested(c, SelfTest) }

func newTested(c Config, selfTest func() error) (*Reservoir, error) {
	if c.Size < 1 || c.Size > MaxSize {
		return nil, fmt.Errorf("reservoir of %d bytes: must be 1 to %d", c.Size, MaxSize)
	}
	if c.MinSources < 0 {
		return nil, fmt.Errorf("min_sources of %d: must be at least 1", c.MinSources)
	}
	if err := selfTest(); err != nil {
		return nil, err
	}
	mem, err := lockMemory(c.Size)
	if err != nil {
		return nil, err
	}
	size := (c.Size + BlockSize - 1) / BlockSize * BlockSize
	r := newReservoir(mem[:size], max(c.MinSources, 1), sha512.New())
	r.release = func() error { return unlockMemory(mem) }
	return r, nil
}

func newReservoir(mem []byte, minSources int, conditioner hash.Hash) *Reservoir {
	r := &Reservoir{
		release:    func() error { return nil },
		minSources: minSources,
		hash:       conditioner,
		event:      make(chan struct{}),
	}
	r.ring.init(mem)
	return r
}

// Take moves up to len(p) bytes into p, as many as leave at least keep bytes
// behind, and returns how many. It never blocks; after Close it returns 0.
func (r *Reservoir) Take(p []byte, keep int) int { return r.ring.take(p, keep) }

// Level is the number of bytes that Take could give now.
func (r *Reservoir) Level() int { return int(max(r.ring.avail.Load(), 0)) }

// Cap is the number of bytes held when full.
func (r *Reservoir) Cap() int { return len(r.ring.left) * BlockSize }

// OnFill sets the function that is called after each finished block, by the
// goroutine that poured the last of it and with no lock held.
func (r *Reservoir) OnFill(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.onFill = f
}

// Stats is a snapshot.
func (r *Reservoir) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Bytes = s.Blocks * BlockSize
	s.MinSources = r.minSources
	s.Ready = r.ready()
	s.EntropyBits = make(map[string]uint64, len(r.origins))
	for _, o := range r.origins {
		s.EntropyBits[o.name] = o.whole
	}
	return s
}

// Close wakes who pours, wipes the memory and gives it back. Takers may be at work.
func (r *Reservoir) Close() (err error) {
	r.closing.Do(func() {
		r.mu.Lock()
		r.closed = true
		scrub(r.hash)
		r.changed()
		r.mu.Unlock()
		r.ring.drain()
		err = r.release()
	})
	return err
}

// ready is the number of origins with a full share in the block in work.
func (r *Reservoir) ready() (n int) {
	for _, o := range r.origins {
		if o.ready() {
			n++
		}
	}
	return n
}

// finish puts the block in work into the ring and begins the next with nothing:
// what one origin brought above its share, or another below it, is not carried on.
func (r *Reservoir) finish() {
	squeeze(r.hash, r.ring.slot())
	for _, o := range r.origins {
		for _, in := range o.inputs {
			in.share = 0
		}
	}
	r.stats.Blocks++
	r.ring.publish()
	r.changed()
}

// changed wakes all who are parked.
func (r *Reservoir) changed() {
	if r.parked > 0 {
		close(r.event)
		r.event = make(chan struct{})
	}
}

// park gives the lock away until something changed, freed (which may be nil) has a
// token or ctx ends.
func (r *Reservoir) park(ctx context.Context, freed <-chan struct{}) {
	event := r.event
	r.parked++
	r.mu.Unlock()
	select {
	case <-event:
	case <-freed:
	case <-ctx.Done():
	}
	r.mu.Lock()
	r.parked--
}
