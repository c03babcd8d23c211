//go:build linux

package main

import (
	"fmt"
	"os"
	"sync"
	"time"

	"headgate/integration/rig/job"
)

// reportEvery is how often a reader reports what it has, if it has anything:
// fast readers are not slowed by a line for each read.
const reportEvery = 100 * time.Millisecond

// reading is the progress of one Read command.
type reading struct {
	mu     sync.Mutex
	total  int64
	data   []byte
	at     int64
	keep   bool
	err    error
	ended  bool
	closed chan struct{}
}

// read opens a device and reads it until it is stopped or fails. A read that
// the device holds back cannot be interrupted (virtio-rng waits killably, and
// this is PID 1): the reading goroutine is left behind then, and ends with the
// guest.
func (s *session) read(c job.Command, last *job.Answer) error {
	file, err := os.Open(c.Path)
	if err != nil {
		return err
	}
	r := &reading{keep: c.Keep, closed: make(chan struct{})}
	stop := make(chan struct{})
	halt := sync.OnceFunc(func() { close(stop) })
	defer s.began(c.ID, halt)()

	mark(fmt.Sprintf("read %s", c.Path))
	go r.loop(file, c.Chunk, c.Pause, stop)

	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	var over <-chan time.Time
	if c.For > 0 {
		over = time.After(c.For)
	}
	for {
		select {
		case <-tick.C:
			if a, any := r.take(c.ID); any {
				s.answer(a)
			}
			continue
		case <-r.closed:
		case <-stop:
		case <-over:
			halt()
		}
		*last, _ = r.take(c.ID)
		last.Last = true
		return r.failure()
	}
}

func (r *reading) loop(file *os.File, chunk int, pause time.Duration, stop <-chan struct{}) {
	defer close(r.closed)
	defer file.Close()
	if chunk <= 0 {
		chunk = 64 // what one virtio-rng buffer holds on x86
	}
	buf := make([]byte, chunk)
	for {
		n, err := file.Read(buf)
		r.mu.Lock()
		if r.ended {
			r.mu.Unlock()
			return
		}
		r.total += int64(n)
		r.at = now()
		if r.keep {
			r.data = append(r.data, buf[:n]...)
		}
		r.err = err
		r.mu.Unlock()
		if err != nil {
			return
		}
		if pause > 0 {
			time.Sleep(pause)
		}
		select {
		case <-stop:
			return
		default:
		}
	}
}

// take returns what came since the last call, with the time of the last read,
// so that a rate is not blurred by when the line was sent.
func (r *reading) take(id uint64) (job.Answer, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := job.Answer{ID: id, Total: r.total, Data: r.data, At: r.at}
	any := r.at != 0
	r.data, r.at = nil, 0
	return a, any
}

func (r *reading) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	return r.err
}
