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

// A supply that is short is to stay so when this machine, or one process on it, has stood
// still for a moment: what came at once after that would be for everybody who waits,
// whatever their weights.
const (
	held   = 50 * time.Millisecond // is the most that the FIFO holds, unless a page is more
	missed = 20 * time.Millisecond // is the most that is made up for, unless two pieces are more
	usual  = 64 << 10              // bytes, is what a FIFO holds: pipe(7)
)

// rawIn is how many raw bytes come in that time.
func rawIn(d time.Duration, rate float64) int { return int(rate * rawPerBlock / 64 * d.Seconds()) }

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
	if err := hold(file, min(max(rawIn(held, rate), os.Getpagesize()), usual)); err != nil {
		file.Close()
		return nil, fmt.Errorf("make FIFO %s smaller: %w", path, err)
	}
	n := &Noise{Path: path, file: file, rates: make(chan float64), done: make(chan struct{})}
	go n.write(ctx, rate)
	return n, nil
}

// hold has a FIFO hold so many bytes (F_SETPIPE_SZ, fcntl(2)).
func hold(fifo *os.File, bytes int) error {
	raw, err := fifo.SyscallConn()
	if err != nil {
		return err
	}
	if cerr := raw.Control(func(fd uintptr) { _, err = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, bytes) }); cerr != nil {
		return cerr
	}
	return err
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

// write keeps to the rate: a tick that comes late is made up for, but not one that comes
// very late, nor a reader that takes less.
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
		due := rawIn(time.Since(start), rate)
		written = max(written, due-max(2*piece, rawIn(missed, rate)))
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
