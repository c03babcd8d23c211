//go:build linux

package pipe

import (
	"errors"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// holdLimit is how long a processor is held at most: some hundred microseconds
	// are needed on hardware, some milliseconds under emulation.
	holdLimit = 20 * time.Millisecond

	// holdBurst is how long one may be held at once, holdShare for what part of the
	// time all of them together after that: a host may wake this guest without end.
	holdBurst = 5 * holdLimit
	holdShare = 250 // 0.4 %

	// holdMost is on how many processors there is a thread for it.
	holdMost = 16
)

// The reader's states, as far as they concern who holds.
const (
	elsewhere int32 = iota // it would not come soon: it keeps its pace, or is closed
	waiting                // what comes wakes it
	reading                // it takes something, or has, and the kernel has not reseeded yet
)

// hold keeps all processors of this guest from running anything else from the moment
// in which something comes until the reader has had the kernel reseed.
//
// The interrupt that brings the host's push wakes the reader on one processor. The
// others went on with whatever they ran when the guest was saved, and what draws from
// the kernel's generator there draws what its twin draws. So a thread waits on each of
// them, pinned, for the same descriptor: the wake-up is an interrupt to that processor,
// and the thread holds it. Its priority is real-time and below the reader's, which may
// therefore run on any of them.
type hold struct {
	fd    int
	state atomic.Int32
	held  atomic.Int32 // processors, now
	quit  int          // an eventfd
	busy  sync.WaitGroup

	threads int
}

// newHold starts the threads, which wait at fd until close. It is nil where that is no
// help, on one processor, or this process has no real-time priority to go below; a nil
// hold does nothing.
func newHold(fd int) (*hold, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil || set.Count() < 2 {
		return nil, err
	}
	own, err := unix.SchedGetAttr(0, 0)
	if err != nil || own.Policy != unix.SCHED_FIFO || own.Priority < 2 {
		return nil, err
	}
	h := &hold{fd: fd, threads: min(set.Count(), holdMost)}
	if h.quit, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, err
	}
	n := 0
	started := make(chan error)
	for cpu := 0; n < h.threads; cpu++ {
		if !set.IsSet(cpu) {
			continue
		}
		n++
		h.busy.Add(1)
		go h.run(cpu, own.Priority-1, started)
	}
	// Each wants to go on at once, whatever else runs.
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), runtime.NumCPU()+n))
	var errs []error
	for range n {
		errs = append(errs, <-started)
	}
	if err := errors.Join(errs...); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

// run holds one processor whenever something comes. Its thread ends with it.
func (h *hold) run(cpu int, priority uint32, started chan<- error) {
	defer h.busy.Done()
	runtime.LockOSThread()
	events, err := h.wait(cpu, priority)
	started <- err
	if err != nil {
		return
	}
	defer func() { _ = unix.Close(events) }()
	var got [2]unix.EpollEvent
	left, last := holdBurst, time.Now()
	for {
		n, err := unix.EpollWait(events, got[:], -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		for _, e := range got[:max(n, 0)] {
			if int(e.Fd) == h.quit {
				return
			}
		}
		now := time.Now()
		left = min(left+now.Sub(last)/time.Duration(holdShare*h.threads), holdBurst)
		if last = now; n > 0 && left > 0 {
			h.held.Add(1)
			h.spin(now.Add(min(left, holdLimit)))
			h.held.Add(-1)
			left -= time.Since(now)
		}
	}
}

// wait pins this thread and gives it what it waits with: edge-triggered, for a port
// whose host is away says so without end.
func (h *hold) wait(cpu int, priority uint32) (events int, err error) {
	var only unix.CPUSet
	only.Set(cpu)
	if err := unix.SchedSetaffinity(0, &only); err != nil {
		return 0, errors.New("pin a thread on processor " + strconv.Itoa(cpu) + ": " + err.Error())
	}
	lower := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: priority}
	if err := unix.SchedSetAttr(0, &lower, 0); err != nil {
		return 0, errors.New("lower a thread's priority: " + err.Error())
	}
	if events, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return 0, err
	}
	for fd, what := range map[int]uint32{h.fd: unix.EPOLLIN | unix.EPOLLET, h.quit: unix.EPOLLIN} {
		if err := unix.EpollCtl(events, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: what, Fd: int32(fd)}); err != nil {
			_ = unix.Close(events)
			return 0, err
		}
	}
	return events, nil
}

// spin returns when the reader is done with what came, when there was nothing for it,
// or at the deadline.
func (h *hold) spin(deadline time.Time) {
	for time.Now().Before(deadline) {
		switch h.state.Load() {
		case elsewhere:
			return
		case waiting:
			// Once more, for the reader says that it reads before it does.
			if !readable(h.fd) && h.state.Load() == waiting {
				return
			}
		}
	}
}

// readable says whether there is something to be read. A port whose host is away says
// so, too, with a hang-up: there is its end.
func readable(fd int) bool {
	set := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(set, 0)
	return err == nil && n == 1 && set[0].Revents&(unix.POLLIN|unix.POLLHUP) == unix.POLLIN
}

// is says what the reader does now.
func (h *hold) is(state int32) {
	if h != nil {
		h.state.Store(state)
	}
}

// close ends the threads. fd must still be open, or never used again.
func (h *hold) close() {
	if h == nil {
		return
	}
	h.is(elsewhere)
	_, _ = unix.Write(h.quit, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	h.busy.Wait()
	_ = unix.Close(h.quit)
}
