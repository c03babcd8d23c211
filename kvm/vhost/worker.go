package vhost

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"headgate/kvm/virtq"
	"headgate/wire"
)

// maxChain is how many bytes one request is answered with at most: a device may give
// less than was asked for (virtio 1.2, section 5.4.6.1), and a guest could ask for all
// of its memory at once.
const maxChain = 64 << 10

// maxPages is how many pages of a guest's memory count as hostd's own at most: a guest
// can have a byte written to each of its pages, and the kernel ends who uses most.
const maxPages = 4096

// worker answers the requests of one queue, from the ring's start until halt. Nothing
// of what it uses changes meanwhile.
type worker struct {
	tap    wire.Tap
	count  *Counters
	memory *memory
	layout virtq.Layout
	kick   *kick
	call   call
	bell   *bell // nil: there is none
	tell   bool  // it is to be signalled at first

	queue  *virtq.Queue // nil: it has not begun
	cancel context.CancelFunc
	over   atomic.Bool
	done   chan struct{}
	pages  int // of the guest's memory, written to since the last release
	buf    [512]byte
}

// begin starts it; fail is told why it ends, if not by halt.
func (w *worker) begin(ctx context.Context, fail func(error)) {
	ctx, w.cancel = context.WithCancel(ctx)
	w.done = make(chan struct{})
	go func() {
		defer close(w.done)
		if err := w.work(ctx); err != nil && !w.over.Load() {
			fail(err)
		}
	}()
}

// hung is how long a worker takes at most to notice that it is halted, if nobody keeps
// it from that.
const hung = 100 * time.Millisecond

// halt ends it, and returns the index of the chain that is next. A request that it has
// not answered is still in the queue.
func (w *worker) halt() uint16 {
	w.over.Store(true)
	w.cancel()
	w.kick.interrupt()
	for ended := false; !ended; {
		timer := time.NewTimer(hung)
		select {
		case <-w.done:
			ended = true
		case <-timer.C:
			w.call.empty()
		}
		timer.Stop()
	}
	w.kick.resume()
	if w.queue == nil {
		return w.layout.Next
	}
	return w.queue.Base()
}

// work answers requests. What the guest's memory is touched in has no lock.
func (w *worker) work(ctx context.Context) (err error) {
	debug.SetPanicOnFault(true) // of this goroutine alone
	defer func() {
		if r := recover(); r != nil {
			err = w.fault(r)
		}
		clear(w.buf[:])
	}()
	if w.queue, err = virtq.New(w.memory.Memory, w.layout); err != nil {
		return err
	}
	if w.tell {
		w.signal()
	}
	rest := w.queue.Rest
	for {
		if err := w.serve(ctx); err != nil {
			return fmt.Errorf("queue: %w", err)
		}
		if err := w.kick.wait(rest); err != nil {
			return fmt.Errorf("wait for the guest: %w", err)
		}
	}
}

// signal interrupts the guest.
func (w *worker) signal() {
	if !w.bell.ring(w.call) {
		w.call.signal()
	}
}

var errHalted = errors.New("halted")

// serve answers all requests that there are.
func (w *worker) serve(ctx context.Context) error {
	for {
		if w.over.Load() {
			return errHalted
		}
		more, err := w.queue.Next()
		if err != nil || !more {
			return err
		}
		n, err := w.fill(ctx)
		if err != nil {
			return err
		}
		wanted := w.queue.Done(n)
		w.count.Requests.Add(1)
		w.count.Bytes.Add(uint64(n))
		if wanted {
			w.signal()
		}
		if w.pages > maxPages {
			w.memory.release()
			w.pages = 0
		}
	}
}

// fill writes to the current chain what can be had at once, and waits if that is
// nothing. Bytes go by way of buf: the tap has locks that all guests share, and the
// guest's memory may have to come from swap first, or may be gone.
func (w *worker) fill(ctx context.Context) (total int, err error) {
	for total < maxChain {
		piece, err := w.queue.Buffer()
		if err != nil || piece == nil {
			return total, err
		}
		for len(piece) > 0 && total < maxChain {
			p := w.buf[:min(len(piece), len(w.buf), maxChain-total)]
			n := w.tap.TryRead(p)
			if n == 0 && total > 0 {
				return total, nil
			}
			if n == 0 {
				if n, err = w.tap.ReadContext(ctx, p); err != nil {
					return 0, fmt.Errorf("read tap: %w", err)
				}
			}
			copy(piece, p[:n])
			clear(p[:n])
			w.pages++
			piece = piece[n:]
			total += n
		}
	}
	return total, nil
}

// fault tells an error of the guest's memory from one of hostd's own.
func (w *worker) fault(r any) error {
	if f, ok := r.(interface{ Addr() uintptr }); ok && w.memory.holds(f.Addr()) {
		return errors.New("the guest's memory is gone: its file was cut, or there are no huge pages for it")
	}
	panic(r)
}
