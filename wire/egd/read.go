package egd

// read takes requests off the connection until it fails.
func (c *session) read() error {
	if err := c.push(); err != nil {
		return err
	}
	part := 0 // bytes of an incomplete request at the front of in
	for {
		n, err := c.conn.Read(c.in[part:])
		if n > 0 {
			var bad error
			if part, bad = c.take(c.in[:part+n]); bad != nil {
				return bad
			}
		}
		if err != nil {
			return broken("read egd request", err)
		}
	}
}

// push owes the client the bytes that it gets unasked.
func (c *session) push() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.debt.add(OpRead, uint32(max(c.Push, 0)))
	return c.settle()
}

// take takes all whole requests off the front of b, keeps the rest at the front
// of in, and returns its length.
func (c *session) take(b []byte) (part int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(b) > 0 {
		if c.skip > 0 {
			n := min(c.skip, len(b))
			clear(b[:n])
			b, c.skip = b[n:], c.skip-n
			continue
		}
		r, size, bad := ParseRequest(b)
		if bad != nil {
			c.Count.Garbage.Add(1)
			err = bad
			break
		}
		if size == 0 {
			break
		}
		b = b[size:]
		if err = c.owe(r); err != nil {
			break
		}
	}
	part = copy(c.in[:], b)
	if bad := c.settle(); err == nil { // what came before garbage is answered
		err = bad
	}
	return part, err
}

// owe notes what answers r. Where there is no room for it, it pays; where the
// client does not let it, QEMU is cut off and a strict client waits.
func (c *session) owe(r Request) error {
	if r.Op == OpWrite {
		c.Count.Pushed.Add(1)
		c.skip = int(r.N)
		return nil
	}
	c.Count.Requests.Add(1)
	for !c.debt.add(r.Op, uint32(r.N)) {
		switch {
		case !c.busy:
			if err := c.settle(); err != nil {
				return err
			}
		case c.Push > 0:
			return ErrFlood
		default:
			c.room.Wait()
			if err := c.ctx.Err(); err != nil {
				return err
			}
		}
	}
	return nil
}
