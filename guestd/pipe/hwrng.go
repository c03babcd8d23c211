//go:build linux

package pipe

import (
	"os"
	"sync"

	"headgate/wire/feed"
)

// hwrng reads /dev/hwrng, when asked and only then. The device has no poll and its
// reads block as long as the host likes, hence the goroutine that Receive wants.
type hwrng struct {
	dev    *os.File
	claim  func() int // bits per 1024 bits
	asked  chan int
	closed chan struct{}
	once   sync.Once
	buf    [feed.MaxData]byte
}

func openHWRNG(path string, claim func() int) (Pipe, error) {
	dev, err := os.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	return &hwrng{dev: dev, claim: claim, asked: make(chan int, 1), closed: make(chan struct{})}, nil
}

// Ask is forgotten if the answer to an earlier one is still waited for.
func (h *hwrng) Ask(n int) error {
	select {
	case h.asked <- n:
	default:
	}
	return nil
}

func (h *hwrng) Receive() (feed.Batch, error) {
	var n int
	select {
	case n = <-h.asked:
	case <-h.closed:
		return feed.Batch{}, os.ErrClosed
	}
	p := h.buf[:min(n, len(h.buf))]
	for got := 0; got < len(p); {
		k, err := h.dev.Read(p[got:])
		if err != nil {
			clear(p)
			return feed.Batch{}, err
		}
		got += k
	}
	return feed.Batch{Data: p, Bits: 8 * len(p) * h.claim() / fullClaim, Read: len(p)}, nil
}

func (h *hwrng) Wipe()                     { clear(h.buf[:]) }
func (h *hwrng) Report(*feed.Report) error { return nil }
func (h *hwrng) Kind() Kind                { return HWRNGKind }
func (h *hwrng) Path() string              { return h.dev.Name() }

func (h *hwrng) Close() error {
	h.once.Do(func() { close(h.closed) })
	return h.dev.Close()
}
