//go:build linux

package feeder

import (
	"errors"
	"sync"

	"headgate/guestd/kernelpool"
)

// shared is the pool for the goroutines of all lines.
type shared struct {
	mu sync.Mutex
	Pool
}

func (s *shared) Add(data []byte, bits int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Pool.Add(data, bits)
}

// Reseed passes over that a kernel cannot be told to: it does so by itself, if late, and
// the status has a note of it.
func (s *shared) Reseed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.Pool.Reseed(); !errors.Is(err, kernelpool.ErrUnsupported) {
		return err
	}
	return nil
}
