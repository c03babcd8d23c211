package xenstore

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// answerTime is how long xenstored may take over one request. It has one thread and
// answers in microseconds; what takes it seconds is the end of it.
const answerTime = 5 * time.Second

// pauses is in how many parts that time is waited. A machine that is stopped and
// goes on, as a guest that is saved and restored, finds all its timers over; with
// parts it loses one of them and not the connection.
const pauses = 5

// Conn is a connection to xenstored. It is safe for concurrent use; requests go one
// after the other.
//
// Two goroutines serve it. One reads, always, so that neither xenstored nor the
// kernel has to keep what was not taken. One writes, because to write a watch to
// /dev/xen/xenbus blocks in the kernel until xenstored has answered, beyond any
// deadline.
type Conn struct {
	tree
	rw          io.ReadWriteCloser
	device      bool // it is the kernel's: errors of write(2) are refusals, see send
	requestMax  int  // bytes of payload
	limit       time.Duration
	turn        chan struct{} // holds the one request that is on its way
	buf         []byte        // the message of that request
	outbox      chan []byte
	wrote       chan error
	done        chan struct{} // closed when the connection is over
	gone        chan struct{} // closed when nothing of it is left
	goroutines  sync.WaitGroup
	mu          sync.Mutex
	cause       error    // why it is over
	pending     *request // not answered yet
	requests    uint32
	watches     map[string]*Watch // by token
	watchTokens uint64
}

// New returns a client that speaks over rw, which it closes. To close rw must wake
// its Read.
func New(rw io.ReadWriteCloser) *Conn { return start(rw, false, answerTime) }

func start(rw io.ReadWriteCloser, device bool, limit time.Duration) *Conn {
	c := &Conn{
		rw: rw, device: device, limit: limit, requestMax: payloadMax,
		turn:    make(chan struct{}, 1),
		outbox:  make(chan []byte),
		wrote:   make(chan error, 1),
		done:    make(chan struct{}),
		gone:    make(chan struct{}),
		watches: make(map[string]*Watch),
	}
	if device {
		// drivers/xen/xenbus/xenbus_dev_frontend.c has room for the header and the
		// payload in XENSTORE_PAYLOAD_MAX bytes.
		c.requestMax -= headerLen
	}
	c.conn = c
	c.goroutines.Go(c.read)
	c.goroutines.Go(c.write)
	return c
}

// Close ends the connection and with it its watches. It wakes all that wait on it;
// they and all later calls return os.ErrClosed.
func (c *Conn) Close() error {
	c.fail(os.ErrClosed)
	t := time.NewTimer(c.limit)
	defer t.Stop()
	select {
	case <-c.gone:
		return nil
	case <-t.C: // in the kernel, out of reach
		return &Error{Op: "close", Err: ErrHangs}
	}
}

// Done is closed when the connection is lost or closed.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err says why the connection is over; nil while it is not.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// fail ends the connection for the first reason that it is given.
func (c *Conn) fail(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return
	}
	c.cause = cause
	close(c.done)
	go func() {
		_ = c.rw.Close() // what it was for is over
		c.goroutines.Wait()
		close(c.gone)
	}()
}

func (c *Conn) write() {
	for {
		select {
		case <-c.done:
			return
		case b := <-c.outbox:
			_, err := c.rw.Write(b)
			refused := c.device && isErrno(err)
			if err != nil && !refused {
				c.fail(lost(err))
			}
			c.wrote <- err // has room: the last one was taken, or the connection is over
		}
	}
}

func (c *Conn) read() {
	buf := make([]byte, 2*messageMax)
	have := 0
	for {
		n, err := c.rw.Read(buf[have:])
		have += max(n, 0)
		at := 0
		for {
			h, payload, size, bad := nextMessage(buf[at:have])
			if bad == nil && size > 0 {
				bad = c.take(h, payload)
			}
			if bad != nil {
				c.fail(protocolError(bad.Error()))
				return
			}
			if size == 0 {
				break
			}
			at += size
		}
		have = copy(buf, buf[at:have])
		if err != nil {
			if have > 0 && errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			c.fail(lost(err))
			return
		}
	}
}

var (
	errUnasked  = errors.New("a reply to no request")
	errOtherOp  = errors.New("a reply of another kind than the request")
	errBadEvent = errors.New("a watch event without path and token")
	errBadError = errors.New("an error without a name")
)

// take takes one message in.
func (c *Conn) take(h header, payload []byte) error {
	if h.op == opWatchEvent { // the kernel leaves its req_id unset
		_, token, ok := parseEvent(payload)
		if !ok {
			return errBadEvent
		}
		c.fire(token)
		return nil
	}
	c.mu.Lock()
	r := c.pending
	c.mu.Unlock()
	switch {
	case r == nil || !r.asked(h):
		return errUnasked
	case h.op == opError:
		why, bad := refusal(payload)
		if bad != nil {
			return bad
		}
		r.err = why
	case h.op != r.op:
		return errOtherOp
	default:
		r.payload = append([]byte(nil), payload...)
	}
	c.mu.Lock()
	c.pending = nil
	c.mu.Unlock()
	close(r.answered)
	return nil
}
