package xenstore

import "strconv"

// Watch watches a path and all below it. It is one bit: whatever happens, and
// however often, until C is read once.
type Watch struct {
	// C gets a value when something at or under the path has changed since C was
	// last read, or may have: when the watch is new, and when xenstored has set it
	// again, as after a guest's restore. Read the state again each time. C is never
	// closed: whoever waits on it waits on the connection's Done, too.
	C <-chan struct{}

	signal chan struct{}
	conn   *Conn
	path   string
	token  string
}

// Watch sets a watch on a path, which need not be there, or on "@introduceDomain"
// (a domain has come) or "@releaseDomain" (one has gone).
func (c *Conn) Watch(path string) (*Watch, error) {
	if err := checkPath(path); err != nil {
		return nil, &Error{Op: "watch", Path: path, Err: err}
	}
	w := &Watch{signal: make(chan struct{}, 1), conn: c, path: path}
	w.C = w.signal
	c.mu.Lock()
	c.watchTokens++
	w.token = strconv.FormatUint(c.watchTokens, 10)
	c.watches[w.token] = w // the first event may come before the answer
	c.mu.Unlock()

	b, err := c.ask(opWatch, 0, path, nul, w.token, nul)
	if err != nil {
		err = &Error{Op: "watch", Path: path, Err: err}
	} else {
		err = checkOK("watch", path, b)
	}
	if err != nil {
		w.forget()
		return nil, err
	}
	return w, nil
}

// Close takes the watch away. When it returns C is empty and stays so.
func (w *Watch) Close() error {
	if !w.forget() {
		return nil
	}
	b, err := w.conn.ask(opUnwatch, 0, w.path, nul, w.token, nul)
	switch {
	case err == nil:
		return checkOK("unwatch", w.path, b)
	case w.conn.Err() != nil: // and with it the watch
		return nil
	}
	return &Error{Op: "unwatch", Path: w.path, Err: err}
}

// forget ends the signals, and says whether there were any to end.
func (w *Watch) forget() bool {
	w.conn.mu.Lock()
	defer w.conn.mu.Unlock()
	if w.conn.watches[w.token] != w {
		return false
	}
	delete(w.conn.watches, w.token)
	select {
	case <-w.signal:
	default:
	}
	return true
}

// fire signals the watch of a token. One that nobody has was just taken away.
func (c *Conn) fire(token []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.watches[string(token)]
	if w == nil {
		return
	}
	select {
	case w.signal <- struct{}{}:
	default:
	}
}
