package backends

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
)

const (
	// jitterMinEntropy is what a sample is worth, in bits, when nobody has assessed it:
	// the third of a bit that jitterentropy's library credits to a delta of its own by
	// default (its oversampling rate is 3). See jitterSource for how that compares with
	// what is measured.
	jitterMinEntropy = 1.0 / 3

	// The work of one sample is a walk of jitterLoads loads, each of which says where
	// the next one is, through jitterWords words of 4 bytes. These 4 MiB are more than
	// the caches that a core has for itself hold in most processors, so that most
	// loads go to what cores and devices share.
	jitterWords = 1 << 20
	jitterLoads = 256

	// jitterRead bounds one Read to some milliseconds.
	jitterRead = 512
)

// jitterSource is the time that the processor takes for the same piece of work, time
// after time. One sample is the low 8 bits of the number of steps that the time-stamp
// counter made during one walk through memory; nothing is whitened, so that the health
// tests, and an assessment, see the deltas themselves.
//
// The noise is what makes a load from outside the core's own caches take longer or
// shorter: the core's clock and that of what is shared (cache slices, interconnect,
// memory) are not in step, memory is refreshed and its banks are busy with what other
// cores and devices ask for, caches and address translations were evicted by them,
// frequencies change. What is not part of it: interrupts and other threads' turns on
// the core give long deltas, which come seldom and are no loss, nor counted on.
// It is a non-physical source in the sense of SP 800-90B: no part of it was built to
// be noise, and no model says how much there is. On a processor that does nothing
// else, seen by somebody who knows its state, there is less than on a busy one, and
// less than any estimate from the samples says: consecutive deltas are correlated, as
// load comes and goes, and the walk comes by the same words again every jitterWords /
// jitterLoads samples. That is why the claim is far below what is measured. (Twice
// 1,000,000 samples of a busy virtual machine on an AMD EPYC of family 25: at least 7.7
// bits a sample by the most common value, 7.5 by collision and 7.9 by Markov, SP 800-90B
// §6.3. Walks that stay within the caches of one of its cores have 3 to 6, and so may
// have these on a processor with larger ones.) Whoever needs a higher claim assesses the
// machine, with "hostd source capture".
//
// In a virtual machine the counter may be emulated: each reading of it then ends in
// the hypervisor, whose time is measured along with the memory's, and a hypervisor
// that counts instructions instead of time gives deltas that do not vary. Open says so
// of the former, by what a reading takes, and refuses the latter. Whatever the
// hypervisor does, it can know all deltas, as it can know all memory.
//
// It works only while it is read: nothing runs between two Reads.
type jitterSource struct {
	config Config
	now    func() uint64
	loads  int // of one sample
}

func newJitter(c Config) Source { return jitterSource{c, timeStamp, jitterLoads} }

func (s jitterSource) Open() (io.ReadCloser, Info, error) {
	stream := &jitterStream{now: s.now, loads: s.loads, walk: newWalk()}
	m := stream.measure()
	info := s.config.claim(Info{
		Driver: counterName, Origin: originJitter, Noise: NonPhysical, Detail: m.String(),
	}, jitterMinEntropy)
	if err := m.judge(info); err != nil {
		return nil, Info{}, fmt.Errorf("open jitter: %w", err)
	}
	return stream, info, nil
}

type jitterStream struct {
	now    func() uint64
	loads  int
	step   uint64
	walk   *walk
	closed atomic.Bool
}

// Read never waits. The time between two Reads is in no sample.
func (s *jitterStream) Read(p []byte) (int, error) {
	p = p[:min(len(p), jitterRead)]
	last := s.now()
	for i := range p {
		if s.closed.Load() {
			clear(p)
			return 0, os.ErrClosed
		}
		var delta uint64
		delta, last = s.delta(last)
		p[i] = s.sample(delta)
	}
	return len(p), nil
}

// delta does the work once, and returns how long it took since last, and when it was done.
func (s *jitterStream) delta(last uint64) (delta, now uint64) {
	s.walk.walk(s.loads)
	now = s.now()
	return now - last, now
}

// sample counts in steps, to the nearest: where a hypervisor scales the counter, the
// multiples of its step are off by one now and then, which is no noise.
func (s *jitterStream) sample(delta uint64) byte { return byte((delta + s.step/2) / s.step) }

func (s *jitterStream) Close() error {
	s.closed.Store(true)
	return nil
}

// walk is a way through memory that comes by each word once before it begins again.
type walk struct {
	at   uint32
	next [jitterWords]uint32
}

// newWalk lays out the way with a linear congruential generator of full period, which
// one modulo a power of two has when the increment is odd and the multiplier 1 modulo 4
// (Hull and Dobell). It jumps far, so that no prefetcher follows; it needs to be no
// secret. Writing the words also has the kernel give them memory of their own.
func newWalk() *walk {
	w := new(walk)
	for i := range uint32(jitterWords) {
		w.next[i] = (i*1664525 + 1013904223) % jitterWords
	}
	return w
}

func (w *walk) walk(loads int) {
	at := w.at
	for range loads {
		at = w.next[at%jitterWords]
	}
	w.at = at
}
