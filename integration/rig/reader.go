//go:build linux

package rig

import (
	"context"
	"errors"
	"fmt"
	"time"

	"headgate/integration/rig/job"
)

// Reading says how a guest reads a device.
type Reading struct {
	Path  string        // /dev/hwrng
	Chunk int           // bytes a read, 64 if not given
	Pause time.Duration // between two reads
	Keep  bool          // have the bytes themselves sent to the host
	For   time.Duration // 0: until Stop
}

// Progress is what a reader has done so far.
type Progress struct {
	Guest time.Duration // the guest's clock at the last read
	Host  time.Time     // when the host was told
	Total int64         // bytes since the start
	Data  []byte        // those since the Progress before, if they are kept
}

// Reader is a read without pause in a guest.
type Reader struct {
	guest   *Init
	answers *answers
	ended   bool
}

// Read makes the guest read a device. Reports of its progress come about every
// 100 ms in which it got anything.
func (g *Init) Read(ctx context.Context, r Reading) (*Reader, error) {
	to, err := g.link.send(ctx, job.Command{
		Do: job.Read, Path: r.Path, Chunk: r.Chunk, Pause: r.Pause, Keep: r.Keep, For: r.For,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: read %s: %w", g.Name, r.Path, err)
	}
	return &Reader{guest: g, answers: to}, nil
}

// ErrEnded is Next's error after the last report of a Reader.
var ErrEnded = errors.New("the read has ended")

// Next waits for the next progress. It is not for several goroutines at once.
func (r *Reader) Next(ctx context.Context) (Progress, error) {
	if r.ended {
		return Progress{}, ErrEnded
	}
	a, err := r.guest.link.next(ctx, r.answers)
	if err != nil {
		return Progress{}, fmt.Errorf("%s: read: %w", r.guest.Name, err)
	}
	r.ended = a.Last
	if a.Error != "" {
		return Progress{}, fmt.Errorf("%s: read: %s", r.guest.Name, a.Error)
	}
	return Progress{Guest: time.Duration(a.At), Host: a.at, Total: a.Total, Data: a.Data}, nil
}

// Stop ends the read; what had come until then is still to be had by Next.
func (r *Reader) Stop(ctx context.Context) error {
	_, err := r.guest.ask(ctx, job.Command{Do: job.Stop, Target: r.answers.id})
	return err
}
