//go:build linux

package load

import (
	"context"
	"crypto/rand"
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
	Stuck atomic.Bool // zeros instead
	file  *os.File
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
	n := &Noise{Path: path, file: file, done: make(chan struct{})}
	go n.write(ctx, rate*rawPerBlock/64)
	return n, nil
}

// write keeps to the rate over the whole time: a tick that comes late is made up
// for.
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
		case <-ticks.C:
		}
		for due := int(rate * time.Since(start).Seconds()); written < due; {
			p := buf[:min(due-written, len(buf))]
			if clear(p); !n.Stuck.Load() {
				_, _ = rand.Read(p)
			}
			if _, err := n.file.Write(p); err != nil {
				return
			}
			written += len(p)
		}
	}
}

// Close ends the noise.
func (n *Noise) Close() {
	n.file.Close()
	<-n.done
}

// Source is the configuration of a daemon that has the noise alone.
func (n *Noise) Source() string {
	return fmt.Sprintf("[[source]]\nname = \"noise\"\ntype = \"file\"\npath = %q\nmin_entropy = 8.0\n", n.Path)
}
