package xen

import (
	"io"
	"os"
	"sync"
	"time"
)

// What reading from a guest costs, and how much of it may be had. A request for 64
// bytes is paid for by its answer; some reports a second fit beside.
const (
	thriftRate  = 8 << 10 // a second
	thriftBurst = 16 << 10
	thriftBatch = 2 << 10 // comes together, so that a flood wakes us 4 times a second
	thriftRead  = 256     // a read costs at least so much,
	thriftByte  = 10      // and so much a byte,
	thriftPaid  = 4       // and so much is paid for by each byte written
)

// thrift is a connection that reads no faster than a guest has reason to write. What
// the guest is sent in answer pays for what it asked. What is beyond that, garbage,
// requests of a byte each or beyond what can be owed, is read at thriftRate, and costs
// as little of the processor.
type thrift struct {
	io.ReadWriteCloser
	closed chan struct{}
	once   sync.Once
	paid   chan struct{} // has a token when something was written

	mu    sync.Mutex
	level int // what reading may cost
	since time.Time
}

func newThrift(rw io.ReadWriteCloser) *thrift {
	return &thrift{
		ReadWriteCloser: rw,
		closed:          make(chan struct{}),
		paid:            make(chan struct{}, 1),
		level:           thriftBurst,
		since:           time.Now(),
	}
}

// Read waits until it may, then for what there is.
func (t *thrift) Read(p []byte) (int, error) {
	for {
		wait := t.due()
		if wait <= 0 {
			break
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-t.paid:
		case <-t.closed:
			timer.Stop()
			return 0, os.ErrClosed
		}
		timer.Stop()
	}
	n, err := t.ReadWriteCloser.Read(p)
	t.add(-max(thriftByte*n, thriftRead))
	return n, err
}

func (t *thrift) Write(p []byte) (int, error) {
	n, err := t.ReadWriteCloser.Write(p)
	t.add(thriftPaid * n)
	select {
	case t.paid <- struct{}{}:
	default:
	}
	return n, err
}

// Close wakes a Read, wherever it waits.
func (t *thrift) Close() error {
	t.once.Do(func() { close(t.closed) })
	return t.ReadWriteCloser.Close()
}

func (t *thrift) add(n int) {
	t.mu.Lock()
	t.level = min(t.level+n, thriftBurst)
	t.mu.Unlock()
}

// due is how long it takes until something may be read.
func (t *thrift) due() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.level > 0 {
		return 0
	}
	now := time.Now()
	grown := int(now.Sub(t.since).Seconds() * thriftRate)
	if t.level+grown >= thriftBatch {
		t.level, t.since = min(t.level+grown, thriftBurst), now
		return 0
	}
	return time.Duration(thriftBatch-t.level-grown)*time.Second/thriftRate + time.Millisecond
}
