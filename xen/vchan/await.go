package vchan

// One port serves both directions, and one goroutine can wait for it: of a reader
// and a writer that both wait, the first leads, which is to wait at the bell, and the
// other follows, which is to be woken by the leader when its half has something to
// do, or when the leader leaves.

// await returns when h should be looked at again, or with why it need not.
func (c *Conn) await(h *half) error {
	c.page.set(h.ask)
	if h.ready() { // since we asked: the peer may have looked at our wish before
		return nil
	}
	c.mu.Lock()
	// Under mu: who wakes says why before it looks for whom, and a leader may have taken
	// the event that told of this while nobody followed.
	if err := c.usable(h); err != nil || h.ready() {
		c.mu.Unlock()
		return err
	}
	if c.leader != nil {
		h.follows = true
		c.mu.Unlock()
		<-h.woken
		return nil
	}
	c.leader = h
	c.mu.Unlock()
	err := c.lead(h)
	c.mu.Lock()
	c.leader = nil
	c.other(h).wake() // to lead
	c.mu.Unlock()
	return err
}

// lead waits at the bell until h has something to do.
//
// Whether an event brought something shows when the next one comes: by then a Read
// or Write has moved bytes, or none has. A peer that makes h look ready and then is
// not (it can write its index forth and back) has a pause still to come.
func (c *Conn) lead(h *half) error {
	pause := c.owed
	c.owed = 0
	if c.moved.Load() {
		pause = 0
	}
	for {
		rang, err := false, error(nil)
		if pause > 0 {
			err = c.bell.pause(pause)
		} else {
			rang, err = c.bell.wait()
		}
		if err != nil {
			return c.breakWith("wait", err)
		}
		if err := c.usable(h); err != nil {
			return err
		}
		if pause = 0; rang {
			pause = c.pace.brought(c.moved.Swap(false))
		}
		c.relay(c.other(h))
		c.page.set(h.ask) // it may have been used up
		if h.ready() {
			c.owed = pause
			return nil
		}
	}
}

// relay wakes the half that follows, if it has something to do.
func (c *Conn) relay(h *half) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !h.follows {
		return
	}
	c.page.set(h.ask)
	if h.ready() {
		h.wake()
	}
}

func (c *Conn) other(h *half) *half {
	if h == &c.reader {
		return &c.writer
	}
	return &c.reader
}

// wake wakes a half that follows; with mu held.
func (h *half) wake() {
	if h.follows {
		h.follows = false
		h.woken <- struct{}{}
	}
}

// rouse has a half that waits look again at why it should not.
func (c *Conn) rouse(h *half) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h.wake()
	if c.leader == h {
		c.bell.poke()
	}
}

func (c *Conn) wakeAll() {
	c.rouse(&c.reader)
	c.rouse(&c.writer)
}
