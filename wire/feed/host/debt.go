package host

import (
	"context"
	"sync"
)

// debt is what the writer owes the guest: a push, and a number of bytes. The
// reader adds to it; nothing else grows with what the guest asks for. The writer
// runs only while something is owed, so an idle connection has one goroutine.
type debt struct {
	pay func() // the writer: pays until next says that nothing is owed

	mu        sync.Mutex
	push      bool
	bytes     int
	paying    bool               // the writer runs; it stays set when it failed
	closed    bool               // it must not be started again
	interrupt context.CancelFunc // ends the writer's wait for bytes; nil when it does not wait
	writer    sync.WaitGroup
}

// addPush owes a push, which goes ahead of a grant that waits for supply.
func (d *debt) addPush() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.push = true
	if d.interrupt != nil {
		d.interrupt()
	}
	d.start()
}

// addBytes owes n more bytes, or refuses.
func (d *debt) addBytes(n int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.bytes+n > MaxOwed {
		return false
	}
	d.bytes += n
	d.start()
	return true
}

func (d *debt) start() {
	if !d.paying && !d.closed {
		d.paying = true
		d.writer.Add(1)
		go d.pay()
	}
}

// close waits for the writer, whose context is done, and starts no other.
func (d *debt) close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.writer.Wait()
}

// next says what is owed; when ok is false the writer has to end. A push is taken
// off the debt by this, bytes are taken off by paid.
func (d *debt) next() (push bool, bytes int, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	push, bytes = d.push, d.bytes
	d.push = false
	d.paying = push || bytes > 0
	return push, bytes, d.paying
}

func (d *debt) paid(n int) {
	d.mu.Lock()
	d.bytes -= n
	d.mu.Unlock()
}

// interruptible returns a context that addPush cancels; the wait ends with done.
func (d *debt) interruptible(ctx context.Context) (wait context.Context, done func()) {
	wait, cancel := context.WithCancel(ctx)
	d.mu.Lock()
	d.interrupt = cancel
	if d.push {
		cancel()
	}
	d.mu.Unlock()
	return wait, func() {
		d.mu.Lock()
		d.interrupt = nil
		d.mu.Unlock()
		cancel()
	}
}
