package xenstore

import "time"

// request is one that waits for its reply.
type request struct {
	header
	answered chan struct{} // closed once one of these is set
	payload  []byte
	err      error
}

// asked says whether a message with h answers r. Old kernels (4.8 is one) answer watches
// themselves, with a req_id of 0.
func (r *request) asked(h header) bool {
	return h.req == r.req || h.req == 0 && (r.op == opWatch || r.op == opUnwatch)
}

// ask sends one request and waits for its answer, not for longer than the limit. An
// error leaves the connection as it was, or has ended it.
func (c *Conn) ask(op, tx uint32, parts ...string) ([]byte, error) {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	if size > c.requestMax {
		return nil, errTooLong
	}

	select {
	case <-c.done:
		return nil, c.Err()
	case c.turn <- struct{}{}:
	}
	defer func() { <-c.turn }()

	r := &request{header: header{op: op, tx: tx}, answered: make(chan struct{})}
	c.mu.Lock()
	if c.cause != nil {
		defer c.mu.Unlock()
		return nil, c.cause
	}
	if c.requests++; c.requests == 0 {
		c.requests = 1
	}
	r.req = c.requests
	c.pending = r
	c.mu.Unlock()

	c.buf = appendMessage(c.buf[:0], r.header, parts...)
	if err := c.send(r); err != nil {
		return nil, err
	}
	return r.payload, r.err
}

// send returns when the message is written and its reply is there, or with the
// connection over. Not before both: the writer may still look at the message when
// the reply has come.
//
// /dev/xen/xenbus gives some refusals (of a watch, of a message too long) as the
// error of write(2). It has then dropped the message, and no reply comes.
func (c *Conn) send(r *request) error {
	part := time.NewTimer(c.limit / pauses)
	defer part.Stop()
	parts := 1

	outbox, answered := c.outbox, r.answered
	written := false
	for !written || answered != nil {
		select {
		case outbox <- c.buf:
			outbox = nil
		case err := <-c.wrote:
			if err != nil {
				return c.refused(err)
			}
			written = true
		case <-answered:
			answered = nil
		case <-c.done:
			return c.Err()
		case <-part.C:
			if parts == pauses {
				c.fail(ErrHangs)
				return c.Err()
			}
			parts++
			part.Reset(c.limit / pauses)
		}
	}
	return nil
}

// refused is what an error of write(2) means: a refusal, while the connection is sound.
func (c *Conn) refused(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return c.cause
	}
	c.pending = nil
	return bare(err)
}
