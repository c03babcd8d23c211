//go:build linux

package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"headgate/integration/rig"
)

// Restart is what guests notice when hostd is killed and started again.
type Restart struct {
	Guests int
	Supply float64       // conditioned bytes a second
	Away   time.Duration // from kill to start
}

// Recovery is when the guests, all blocked in a read, went on.
type Recovery struct {
	First, Median, Last time.Duration // after the new daemon was started
	Blocks              int           // of 16 bytes, delivered in all
	Twice               int           // of those, delivered before
}

// Measure kills hostd under guests that speak as QEMU does: one request in
// flight, lost with the connection, and a new connection once a second.
func (r Restart) Measure(ctx context.Context, binary string) (rec Recovery, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dir, err := tempDir()
	if err != nil {
		return rec, err
	}
	defer os.RemoveAll(dir)
	noise, err := StartNoise(ctx, filepath.Join(dir, "noise"), r.Supply)
	if err != nil {
		return rec, err
	}
	defer noise.Close()

	var text strings.Builder
	text.WriteString(noise.Source() + "[[class]]\nname = \"open\"\nrate = \"unlimited\"\n")
	guests := make([]*qemu, r.Guests)
	seen := &blocks{seen: map[[16]byte]bool{}}
	for i := range guests {
		guests[i] = &qemu{path: filepath.Join(dir, fmt.Sprint(i)), blocks: seen, last: make(chan time.Time, 1)}
		fmt.Fprintf(&text, "[[guest]]\nname = \"g%d\"\nclass = \"open\"\npipes = [\"qemu:%s\"]\n", i, guests[i].path)
	}
	hostd, err := rig.NewDaemon(dir, binary, text.String())
	if err != nil {
		return rec, err
	}
	if err := hostd.Start(ctx); err != nil {
		return rec, err
	}
	defer hostd.Close()
	crowd := newCrowd(ctx)
	defer crowd.end()
	for _, g := range guests {
		crowd.run(g.read)
	}
	// Until the reservoir is drained, so that the guests are blocked.
	if err := drained(ctx, crowd, hostd); err != nil {
		return rec, err
	}
	hostd.Kill()
	if err := crowd.pause(r.Away); err != nil {
		return rec, err
	}
	for _, g := range guests {
		select {
		case <-g.last:
		default:
		}
	}
	started := time.Now()
	if err := hostd.Start(ctx); err != nil {
		return rec, err
	}
	var times []time.Duration
	for _, g := range guests {
		select {
		case at := <-g.last:
			times = append(times, at.Sub(started))
		case <-crowd.ctx.Done():
			return rec, context.Cause(crowd.ctx)
		}
	}
	slices.Sort(times)
	rec.First, rec.Median, rec.Last = times[0], times[len(times)/2], times[len(times)-1]
	rec.Blocks, rec.Twice = seen.count()
	return rec, nil
}

// qemu is a guest that reads without pause, as it looks from its socket.
type qemu struct {
	path   string
	blocks *blocks
	last   chan time.Time // when its buffer was last completed, if nobody took it yet
}

// reconnect is the period of QEMU's chardev with reconnect=1.
const reconnect = time.Second

func (q *qemu) read(ctx context.Context) error {
	for ctx.Err() == nil {
		conn, err := dial(ctx, q.path)
		if err == nil {
			err = q.converse(ctx, conn)
		}
		var refused *net.OpError
		if err != nil && !errors.Is(err, io.EOF) && !errors.As(err, &refused) && ctx.Err() == nil {
			return err
		}
		wait(ctx, reconnect)
	}
	return nil
}

// converse lets what hostd gives unasked complete the request of the last
// connection, and asks again for each buffer completed.
func (q *qemu) converse(ctx context.Context, conn net.Conn) error {
	defer hangUp(ctx, conn)()
	for {
		var buf [request]byte
		if _, err := io.ReadFull(conn, buf[:]); err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				return io.EOF
			}
			return err
		}
		q.blocks.add(buf[:])
		select {
		case q.last <- time.Now():
		default:
		}
		if _, err := conn.Write([]byte{2, request}); err != nil {
			return err
		}
	}
}

// blocks are the 16-byte blocks that anybody was given.
type blocks struct {
	mu    sync.Mutex
	seen  map[[16]byte]bool
	twice int
}

func (b *blocks) add(p []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for ; len(p) >= 16; p = p[16:] {
		block := [16]byte(p)
		if b.seen[block] {
			b.twice++
		}
		b.seen[block] = true
	}
}

func (b *blocks) count() (all, twice int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.seen) + b.twice, b.twice
}
