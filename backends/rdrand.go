package backends

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync/atomic"
)

// instructionTries bounds the tries for one value. The processor has nothing to give
// when it is asked faster than its noise comes in, by all cores together; with a
// PAUSE between two tries (Intel DRNG Software Implementation Guide §5.3.1) these last
// some 50 µs, many times what a value takes when no other core asks.
const instructionTries = 1000

// instruction is one that gives 64 bits of the processor's noise.
//
//	type    amd64   arm64   what it gives
//	rdseed  RDSEED  RNDRRS  conditioned noise; of a generator reseeded before each value
//	rdrand  RDRAND  RNDR    the output of a generator that the processor reseeds
//
// Only the 64-bit forms are used: there are processors whose narrower forms of RDSEED
// report success with a value of zero (AMD-SB-7055).
type instruction struct {
	mnemonic string
	has      func() bool
	value    func(tries int) (v uint64, ok bool) // or not ok if there was none in that many tries, at least 1
}

// cpuSource reads the processor's own noise. That of rdseed and rdrand is one: they
// have one origin.
type cpuSource struct {
	config Config
	instruction
	noise Noise
}

func newRDSEED(c Config) Source { return cpuSource{c, seedInstruction, Physical} }

// newRDRAND returns a source that counts nothing by itself: after one good seed its
// values look the same whether any noise comes in or not.
func newRDRAND(c Config) Source { return cpuSource{c, randInstruction, Generated} }

func (s cpuSource) Open() (io.ReadCloser, Info, error) {
	if !s.has() {
		return nil, Info{}, fmt.Errorf("open %s: this %s processor has no such instruction (%s): use another source",
			s.config.Type, runtime.GOARCH, s.mnemonic)
	}
	info := Info{Driver: "cpu", Origin: originCPU, Noise: s.noise}
	return &cpuStream{instruction: s.instruction}, s.config.claim(info, 8), nil
}

type cpuStream struct {
	instruction
	closed atomic.Bool
}

// Read never waits: it returns what came before the processor ran dry.
func (s *cpuStream) Read(p []byte) (n int, err error) {
	var word [8]byte
	defer clear(word[:])
	for n < len(p) {
		if s.closed.Load() {
			clear(p[:n])
			return 0, os.ErrClosed
		}
		v, ok := s.value(instructionTries)
		if !ok {
			break
		}
		binary.NativeEndian.PutUint64(word[:], v)
		n += copy(p[n:], word[:])
	}
	if n == 0 && len(p) > 0 {
		return 0, fmt.Errorf("read %s: the processor gives no value: it is broken, or other cores take them all", s.mnemonic)
	}
	return n, nil
}

func (s *cpuStream) Close() error {
	s.closed.Store(true)
	return nil
}
