//go:build linux

package vchan

import (
	"errors"
	"os"
	"sync"
	"time"

	"headgate/xen/evtchn"
)

// doorbell is a bell over an event channel that has the device to itself.
type doorbell struct {
	events *evtchn.Conn
	port   evtchn.Port
	masked bool // since wait said true; of the one that waits

	mu    sync.Mutex
	poked bool // the deadline of events is one of the past, for a wait to end
}

func (b *doorbell) ring() error { return b.events.Notify(b.port) }

func (b *doorbell) wait() (bool, error) {
	if b.masked {
		if err := b.events.Unmask(b.port); err != nil {
			return false, err
		}
		b.masked = false
	}
	_, err := b.events.Wait()
	b.masked = err == nil
	return b.woke(err)
}

// pause waits with the port masked, so that the deadline is what ends it.
func (b *doorbell) pause(d time.Duration) error {
	b.mu.Lock()
	if !b.poked {
		if err := b.events.SetDeadline(time.Now().Add(d)); err != nil {
			b.mu.Unlock()
			return err
		}
	}
	b.mu.Unlock()
	_, err := b.events.Wait()
	_, err = b.woke(err)
	return err
}

// woke sorts the ways in which a wait ends, and has the next wait not end so.
func (b *doorbell) woke(err error) (bool, error) {
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.poked = false
	return false, b.events.SetDeadline(time.Time{})
}

func (b *doorbell) poke() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.poked = true
	_ = b.events.SetDeadline(time.Unix(1, 0))
}

func (b *doorbell) close() error { return b.events.Close() }
