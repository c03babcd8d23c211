package backends

import (
	"errors"
	"io"
	"os"
	"sync"
)

// Fake is a Source for tests, which give it its samples.
type Fake struct {
	// Refuse, if not nil, is asked before each Open; its error is Open's.
	Refuse func() error
	// Fill, if not nil, is what Read calls. When it returns nothing and no error,
	// that Read waits for Close.
	Fill func(p []byte) (int, error)
	// Info is what Open returns; an empty Kind, Origin or MinEntropy is filled in, and
	// it is credited unless Uncredited is set.
	Info       Info
	Uncredited bool
}

// Open returns a stream over Fill.
func (f *Fake) Open() (io.ReadCloser, Info, error) {
	if f.Refuse != nil {
		if err := f.Refuse(); err != nil {
			return nil, Info{}, err
		}
	}
	info := f.Info
	if info.Kind == "" {
		info.Kind = "fake"
	}
	if info.Origin == "" {
		info.Origin = "fake"
	}
	if info.MinEntropy == 0 {
		info.MinEntropy, info.Assumed = AssumedMinEntropy, true
	}
	info.Credited = !f.Uncredited
	return &fakeStream{fill: f.Fill, closed: make(chan struct{})}, info, nil
}

type fakeStream struct {
	fill   func(p []byte) (int, error)
	closed chan struct{}
	once   sync.Once
}

func (s *fakeStream) Read(p []byte) (int, error) {
	select {
	case <-s.closed:
		return 0, os.ErrClosed
	default:
	}
	if s.fill != nil {
		if n, err := s.fill(p); n > 0 || err != nil {
			return n, err
		}
	}
	<-s.closed
	return 0, os.ErrClosed
}

func (s *fakeStream) Close() error {
	err := errors.New("the stream was closed before")
	s.once.Do(func() {
		close(s.closed)
		err = nil
	})
	return err
}
