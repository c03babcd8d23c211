//go:build linux

package pipe

import (
	"os"
	"sync"
	"sync/atomic"

	"headgate/wire/feed"
)

// prefetched is how many bytes may lie between the host and a reader of /dev/hwrng:
// up to 63 in the buffer of drivers/char/hw_random/core.c and 64 that virtio-rng asked
// for beforehand. A guest that was saved is restored with them, and so are its clones.
const prefetched = 128

// hwrng reads /dev/hwrng, when asked and only then. The device has no poll and its
// reads block as long as the host likes, hence the goroutine that Receive wants.
type hwrng struct {
	dev    *os.File
	claim  func() int // bits per 1024 bits
	asked  chan int
	renew  atomic.Bool // what is prefetched is stale
	closed chan struct{}
	once   sync.Once
	buf    [prefetched + feed.MaxData]byte
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
	stale := 0
	if h.renew.Swap(false) {
		stale = prefetched
	}
	p := h.buf[:min(stale+n, len(h.buf))]
	for got := 0; got < len(p); {
		k, err := h.dev.Read(p[got:])
		if err != nil {
			clear(p)
			return feed.Batch{}, err
		}
		got += k
	}
	if h.renew.Load() { // some of it may have come before that
		stale = len(p)
	}
	bits := 8 * (len(p) - stale) * h.claim() / fullClaim
	return feed.Batch{Data: p, Fresh: stale, Bits: bits, Read: len(p)}, nil
}

func (h *hwrng) Renew()                    { h.renew.Store(true) }
func (h *hwrng) Wipe()                     { clear(h.buf[:]) }
func (h *hwrng) Report(*feed.Report) error { return nil }
func (h *hwrng) Kind() Kind                { return HWRNGKind }
func (h *hwrng) Path() string              { return h.dev.Name() }

func (h *hwrng) Close() error {
	h.once.Do(func() { close(h.closed) })
	return h.dev.Close()
}
