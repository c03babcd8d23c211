//go:build linux

package feeder

import "sync"

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

func (s *shared) Reseed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Pool.Reseed()
}
