//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"headgate/integration/load"
	"headgate/integration/rig"
)

// chunk is what a read(2) asks for, in bytes: the kernel makes requests of 64 of it, one
// after the other, and the guest's own work is small beside them.
const chunk = 4096

// sample is one turn of one device.
type sample struct {
	bytes  float64
	took   time.Duration // by the guest's clock
	server time.Duration // processor time of who serves it
	qemu   time.Duration
}

func (s sample) rate() float64 { return s.bytes / s.took.Seconds() }

// measure gives each device a turn in every round, each time from another one on.
func (b *bench) measure(ctx context.Context, rounds int, turn time.Duration) (figures, error) {
	f := figures{}
	for _, d := range b.devices {
		f.names = append(f.names, d.name)
	}
	f.samples = map[string][]sample{}
	for round := range rounds {
		for i := range b.devices {
			n := (round + i) % len(b.devices)
			s, err := b.sample(ctx, n, turn)
			if err != nil {
				return f, err
			}
			name := b.devices[n].name
			f.samples[name] = append(f.samples[name], s)
		}
	}
	return f, nil
}

// sample has the guest read the n-th device for that long. What is counted begins with
// the first report: the start of the reader is not in it.
func (b *bench) sample(ctx context.Context, n int, turn time.Duration) (s sample, err error) {
	d := b.devices[n]
	command := fmt.Sprintf("echo virtio_rng.%d >/sys/class/misc/hw_random/rng_current", n)
	switch exit, err := b.guest.Run(ctx, patience, "busybox", "sh", "-c", command); {
	case err != nil:
		return s, err
	case exit.Code != 0:
		return s, fmt.Errorf("the guest has no device %d, %s: %s", n, d.name, exit.Stderr)
	}
	ctx, cancel := context.WithTimeout(ctx, turn+patience)
	defer cancel()
	reader, err := b.guest.Read(ctx, rig.Reading{Path: "/dev/hwrng", Chunk: chunk})
	if err != nil {
		return s, err
	}
	var first, last look
	for first.at == 0 || last.at < first.at+turn {
		p, err := reader.Next(ctx)
		if err != nil {
			return s, fmt.Errorf("%s: %w", d.name, err)
		}
		if last, err = b.look(d, p); err != nil {
			return s, err
		}
		if first.at == 0 {
			first = last
		}
	}
	if err := reader.Stop(ctx); err != nil {
		return s, err
	}
	for !errors.Is(err, rig.ErrEnded) { // it must not be at the next device
		if _, err = reader.Next(ctx); err != nil && !errors.Is(err, rig.ErrEnded) {
			return s, fmt.Errorf("%s: %w", d.name, err)
		}
	}
	return last.since(first), nil
}

// look is how far everybody has come at one moment.
type look struct {
	at           time.Duration // the guest's clock
	total        int64         // bytes
	server, qemu time.Duration // processor time
}

func (b *bench) look(d device, p rig.Progress) (l look, err error) {
	l = look{at: p.Guest, total: p.Total}
	if l.qemu, err = load.CPU(b.guest.PID()); err == nil && d.server != nil {
		l.server, err = load.CPU(d.server.PID())
	}
	return l, err
}

func (l look) since(before look) sample {
	return sample{
		bytes: float64(l.total - before.total), took: l.at - before.at,
		server: l.server - before.server, qemu: l.qemu - before.qemu,
	}
}

var errStuck = errors.New("a peer's device is stuck")

// check gives each device a turn that does not count, and sees that it is served by who is
// to serve it.
func (b *bench) check(ctx context.Context, turn time.Duration) error {
	for n, d := range b.devices {
		before, err := b.given(ctx, d)
		if err != nil {
			return err
		}
		s, err := b.sample(ctx, n, turn)
		if err != nil && d.name == theirs && errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("%w: %w", errStuck, err)
		}
		if err != nil {
			return err
		}
		after, err := b.given(ctx, d)
		if err != nil {
			return err
		}
		if d.guest != "" && float64(after-before) < s.bytes {
			return fmt.Errorf("%s: the guest read %.0f bytes, hostd says that it gave it %d", d.name, s.bytes, after-before)
		}
		if d.server != nil && s.server == 0 {
			return fmt.Errorf("%s: its server has done nothing for %.0f bytes", d.name, s.bytes)
		}
	}
	return nil
}

// given is what hostd has given a device, if that is its server.
func (b *bench) given(ctx context.Context, d device) (uint64, error) {
	if d.guest == "" {
		return 0, nil
	}
	s, err := b.hostd.Status(ctx)
	if err != nil {
		return 0, err
	}
	g, _ := rig.GuestOf(s, d.guest)
	return g.Bytes, nil
}
