package backends

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync/atomic"
)

// rdseedTries bounds the tries for one value. RDSEED has nothing to give when it
// is asked faster than its noise comes in, by all cores together; with a PAUSE
// between two tries (Intel DRNG Software Implementation Guide §5.3.1) these last
// some 50 µs, many times what a value takes when no other core asks.
const rdseedTries = 1000

var errRDSEED = errors.New("read rdseed: the processor gives no value: it is broken, or other cores take them all")

// rdseedSource is the processor's conditioned noise source. Only the 64-bit form of
// the instruction is used: there are processors whose narrower forms report
// success with a value of zero (AMD-SB-7055).
type rdseedSource struct {
	config Config
}

func (s rdseedSource) Open() (io.ReadCloser, Info, error) {
	if !hasRDSEED() {
		return nil, Info{}, fmt.Errorf("open rdseed: this %s processor has no such instruction: use another source", runtime.GOARCH)
	}
	info := Info{Driver: "cpu", Origin: "cpu", Physical: true}
	return new(rdseedStream), s.config.claim(info, 8), nil
}

type rdseedStream struct {
	closed atomic.Bool
}

// Read never waits: it returns what came before the processor ran dry.
func (s *rdseedStream) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if s.closed.Load() {
			clear(p[:n])
			return 0, os.ErrClosed
		}
		v, ok := rdseed(rdseedTries)
		if !ok {
			break
		}
		var word [8]byte
		binary.NativeEndian.PutUint64(word[:], v)
		n += copy(p[n:], word[:])
	}
	if n == 0 && len(p) > 0 {
		return 0, errRDSEED
	}
	return n, nil
}

func (s *rdseedStream) Close() error {
	s.closed.Store(true)
	return nil
}
