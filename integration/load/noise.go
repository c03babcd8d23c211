//go:build linux

package load

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// rawPerBlock is how many bytes of 8 bits of min-entropy go into a 64-byte block
// of full entropy: 512 + 64 bits (SP 800-90C).
const rawPerBlock = 72

// Noise writes random bytes to a FIFO so fast that a daemon that claims 8 bits a
// byte for it conditions rate bytes a second.
type Noise struct {
	Path  string
	Stuck atomic.Bool   // zeros instead
	Sound atomic.Uint64 // random bytes written; a reader cannot have had more
	file  *os.File
	rates chan float64
	done  chan struct{}
}

// StartNoise makes the FIFO and writes to it until Close.
func StartNoise(ctx context.Context, path string, rate float64) (*Noise, error) {
	if err := unix.Mkfifo(path, 0o600); err != nil {
		return nil, fmt.Errorf("make FIFO: %w", err)
	}
	// For both, so that opening does not wait, and a restarted reader is no end.
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	n := &Noise{Path: path, file: file, rates: make(chan float64), done: make(chan struct{})}
	go n.write(ctx, rate)
	return n, nil
}

// SetRate changes the rate from now on. What is in the FIFO already stays.
func (n *Noise) SetRate(rate float64) {
	select {
	case n.rates <- rate:
	case <-n.done:
	}
}

// piece is how much is written at once at least, in bytes: half a window of the health
// tests, so that a slow noise does not wake its reader for every few bytes.
const piece = 256

// write keeps to the rate over the whole time since it was set: a tick that comes
// late is made up for, but not a reader that takes less.
func (n *Noise) write(ctx context.Context, rate float64) {
	defer close(n.done)
	ticks := time.NewTicker(5 * time.Millisecond)
	defer ticks.Stop()
	start, written := time.Now(), 0
	buf := make([]byte, 4096)
	for {
		select {
		case <-ctx.Done():
			return
		case rate = <-n.rates:
			start, written = time.Now(), 0
		case <-ticks.C:
		}
		due := int(rate * rawPerBlock / 64 * time.Since(start).Seconds())
		for due-written >= piece {
			p := buf[:min(due-written, len(buf))]
			clear(p)
			sound := !n.Stuck.Load()
			if sound {
				_, _ = rand.Read(p)
			}
			_ = n.file.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
			wrote, err := n.file.Write(p)
			written += wrote
			if sound {
				n.Sound.Add(uint64(wrote))
			}
			if errors.Is(err, os.ErrDeadlineExceeded) { // the FIFO is full
				start, written = time.Now(), 0
				break
			}
			if err != nil {
				return
			}
		}
	}
}

// Close ends the noise.
func (n *Noise) Close() {
	n.file.Close()
	<-n.done
}

// Source is the configuration of a daemon that has the noise alone.
func (n *Noise) Source() string { return n.Claim(8) }

// Claim is Source with another claim, in bits a byte: the less is claimed the fewer
// blocks are conditioned, and the fewer come at once of a window that was tested.
func (n *Noise) Claim(bits float64) string {
	return fmt.Sprintf("[[source]]\nname = \"noise\"\ntype = \"file\"\npath = %q\nmin_entropy = %.1f\n", n.Path, bits)
}
