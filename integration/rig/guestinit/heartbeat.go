//go:build linux

package main

import (
	"sync"
	"time"

	"headgate/integration/rig/job"
)

// heartbeat notices when the guest stood still: QEMU that blocks on its socket
// holds its virtual processors at their next device access, while the guest's
// clock goes on.
type heartbeat struct {
	mu   sync.Mutex
	beat job.Beat
}

func startHeartbeat() *heartbeat {
	h := &heartbeat{}
	go h.run()
	return h
}

func (h *heartbeat) run() {
	for {
		due := time.Now().Add(job.BeatEvery)
		time.Sleep(job.BeatEvery)
		late := time.Since(due)
		h.mu.Lock()
		h.beat.Beats++
		if late > job.BeatLate {
			h.beat.Late++
		}
		h.beat.Longest = max(h.beat.Longest, late)
		h.mu.Unlock()
	}
}

// take returns the counts since the last call.
func (h *heartbeat) take() *job.Beat {
	h.mu.Lock()
	defer h.mu.Unlock()
	beat := h.beat
	h.beat = job.Beat{}
	return &beat
}
