package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"headgate/backends/reservoir"
	"headgate/guestd/kernelpool"
	"headgate/hostd/control"
	"headgate/hostd/quality"
	"headgate/ratelimit"
)

// hostName is what the host's own outlet goes by; no guest can be called so.
const hostName = "[host]"

// hostEvery is how often the host's own kernel is fed: no more seldom than Linux
// reseeds its generator by itself (CRNG_RESEED_INTERVAL, drivers/char/random.c).
const hostEvery = time.Minute

// hostBytes is what it gets each time, in bytes: what a guest gets as its first.
const hostBytes = ratelimit.Quantum

// kernelPool is the pool of the running kernel: a kernelpool.Pool, or a test's.
type kernelPool interface {
	Add(data []byte, bits int) error
	Reseed() error
	Close() error
}

// hostFeed feeds the pool of this host's own kernel, which it shares with containers.
// Its tap is one of the common scheduler, as a guest's is.
type hostFeed struct {
	open    func() (kernelPool, error)
	every   time.Duration
	changed token        // the configuration wants it otherwise
	tap     *quality.Tap // guarded by Daemon.mu; nil: it is not to be fed

	mu     sync.Mutex
	status control.HostStatus // what has become of it
}

func newHostFeed() *hostFeed {
	return &hostFeed{
		open:    func() (kernelPool, error) { return kernelpool.Open() },
		every:   hostEvery,
		changed: newToken(),
	}
}

// setHost makes the host's tap what the configuration says. Its first bytes go ahead
// of others': a host that boots is no better off than a guest.
func (d *Daemon) setHost() {
	h, want := d.host, d.config.Host
	class, _ := d.config.Class(want.Class) // the configuration was checked
	switch {
	case want.Feed && h.tap == nil:
		h.tap = d.newTap(hostName, "", class)
		h.tap.Fresh()
		h.changed.tell()
	case want.Feed:
		h.tap.Set(qualityOf(class))
	case h.tap != nil:
		h.tap.Close()
		h.tap = nil
		h.changed.tell()
	}
}

// feedHost is the task that feeds the host's kernel as long as the configuration wants
// it. That it cannot be done is no reason to end.
func (d *Daemon) feedHost(ctx context.Context) error {
	return d.host.changed.each(ctx, func(ctx context.Context) {
		d.mu.Lock()
		tap := d.host.tap
		d.mu.Unlock()
		d.host.begin()
		for tap != nil && ctx.Err() == nil {
			bits, err := d.host.feed(ctx, tap)
			if ctx.Err() != nil || errors.Is(err, os.ErrClosed) {
				return
			}
			d.noteHost(bits, err)
			select {
			case <-ctx.Done():
			case <-time.After(d.host.every):
			}
		}
	})
}

// feed mixes bytes of the tap into the kernel's pool, credits what they hold and has
// the kernel take a new key from it. It waits until they are granted.
func (h *hostFeed) feed(ctx context.Context, from *quality.Tap) (bits int, err error) {
	pool, err := h.open()
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	// Who may not do this may not add either, and has no use for bytes.
	if err := felt(pool.Reseed()); err != nil {
		return 0, err
	}
	var b [hostBytes]byte
	defer clear(b[:])
	bits, err = take(ctx, from, b[:])
	if err != nil {
		return 0, err
	}
	if err := pool.Add(b[:], bits); err != nil {
		return 0, err
	}
	return bits, felt(pool.Reseed())
}

// take fills b, and says how much min-entropy that holds, in bits.
func take(ctx context.Context, from *quality.Tap, b []byte) (bits int, err error) {
	bits = 8 * len(b)
	for n := 0; n < len(b); {
		got, full, err := from.ReadGraded(ctx, b[n:])
		if err != nil {
			return 0, err
		}
		if n += got; !full {
			bits = min(bits, reservoir.Strength)
		}
	}
	return bits, nil
}

// felt is what is wrong with a reseed. A generator that is not ready becomes so by what
// is added, and a kernel that cannot reseed at once does so by itself.
func felt(err error) error {
	if errors.Is(err, kernelpool.ErrNotReady) || errors.Is(err, kernelpool.ErrUnsupported) {
		return nil
	}
	return err
}

// begin forgets what kept the host from being fed.
func (h *hostFeed) begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status.Error = ""
}

// noteHost notes what has become of one time, and says so where it is another thing
// than before.
func (d *Daemon) noteHost(bits int, err error) {
	h := d.host
	h.mu.Lock()
	defer h.mu.Unlock()
	first, was := h.status.FedAt.IsZero(), h.status.Error
	if err != nil {
		why := err.Error()
		if errors.Is(err, kernelpool.ErrPermission) {
			why = "it takes CAP_SYS_ADMIN: examples/systemd/hostd-feed.conf gives it to hostd"
		}
		if h.status.Error = why; why != was {
			d.warn("host_unfed", hostName, hostUnfed+why)
		}
		return
	}
	h.status.FedAt, h.status.Error = time.Now(), ""
	h.status.Bytes += hostBytes
	h.status.CreditedBits += uint64(bits)
	if first || was != "" {
		d.event(slog.LevelInfo, "host_fed", hostName, fmt.Sprintf("the kernel of this host is fed: %d bytes, %d bits credited, and so every %v", hostBytes, bits, h.every))
	}
}

const hostUnfed = "the kernel of this host is not fed, and will be tried again: "

// hostStatus is called with mu held.
func (d *Daemon) hostStatus() control.HostStatus {
	h := d.host
	h.mu.Lock()
	s := h.status
	h.mu.Unlock()
	if s.Feed = h.tap != nil; !s.Feed {
		s.Error = ""
		return s
	}
	class, _ := d.config.Class(d.config.Host.Class)
	t := h.tap.Stats()
	s.Class, s.Quality, s.Waiting, s.DRBG = class.Name, class.Quality, t.Waiting, drbgStatus(class, t)
	return s
}
