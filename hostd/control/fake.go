package control

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"headgate/hostd/config"
	"headgate/hostd/events"
)

// Fake is a Daemon for tests: what it shows is what it was given, and guests
// come and go in it.
type Fake struct {
	mu        sync.Mutex
	Snapshot  Status
	Test      SourceTest
	ReloadErr error
	Stall     bool // captures give half and wait for ctx, and so do seeds, which give nothing
	Hooks     []HookCall
	HookErr   error
	Seeds     []SeedRequest
	Readers   func() (RNG, error) // nil: the meter is off
	log       *events.Log
}

// NewFake makes a Fake with an event log that is written nowhere.
func NewFake(s Status) *Fake {
	return &Fake{Snapshot: s, log: events.New(slog.New(slog.DiscardHandler))}
}

// Status gives a copy of the snapshot.
func (f *Fake) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.Snapshot
	s.Guests = slices.Clone(s.Guests)
	return s
}

func (f *Fake) find(name string) int {
	return slices.IndexFunc(f.Snapshot.Guests, func(g GuestStatus) bool { return g.Name == name })
}

// AddGuest checks a guest as the daemon does and puts it in the snapshot.
func (f *Fake) AddGuest(spec GuestSpec) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.find(spec.Name) >= 0 {
		return fmt.Errorf("guest %w", ErrExists)
	}
	c := config.Default()
	if err := c.CheckGuest(spec.Guest); err != nil {
		return err
	}
	class, _ := c.Class(spec.Class)
	l := spec.Under(class)
	g := GuestStatus{Name: spec.Name, Class: spec.Class, Quality: l.Quality, Rate: l.Rate, Burst: l.Burst,
		Weight: l.Weight, Origin: OriginAPI, Transient: spec.Transient}
	for _, p := range spec.Pipes {
		g.Pipes = append(g.Pipes, PipeStatus{Kind: p.Kind, Path: p.Path, Server: p.Server})
	}
	f.Snapshot.Guests = append(f.Snapshot.Guests, g)
	slices.SortFunc(f.Snapshot.Guests, func(a, b GuestStatus) int { return strings.Compare(a.Name, b.Name) })
	f.log.Add(events.Event{Kind: "guest_added", Subject: spec.Name, Message: "guest added"})
	return nil
}

// RemoveGuest takes a guest out of the snapshot.
func (f *Fake) RemoveGuest(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := f.find(name)
	if i < 0 {
		return fmt.Errorf("guest %w", ErrNotFound)
	}
	f.Snapshot.Guests = slices.Delete(f.Snapshot.Guests, i, i+1)
	return nil
}

// SetGuest changes a guest in the snapshot.
func (f *Fake) SetGuest(name string, p GuestPatch) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := f.find(name)
	if i < 0 {
		return fmt.Errorf("guest %w", ErrNotFound)
	}
	set(&f.Snapshot.Guests[i].Class, p.Class)
	set(&f.Snapshot.Guests[i].Rate, p.Rate)
	set(&f.Snapshot.Guests[i].Burst, p.Burst)
	set(&f.Snapshot.Guests[i].Weight, p.Weight)
	return nil
}

// PushGuest says of each pipe of a guest in the snapshot what the daemon would.
func (f *Fake) PushGuest(name string) (Push, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := f.find(name)
	if i < 0 {
		return Push{}, fmt.Errorf("guest %w", ErrNotFound)
	}
	p, reached := Push{Guest: name}, false
	for _, pipe := range f.Snapshot.Guests[i].Pipes {
		kind, result := config.Pipe{Kind: pipe.Kind}, PushNever
		switch {
		case !kind.ReachesGuestd():
		case !pipe.Connected:
			result = PushLater
		case pipe.Kind == config.Vchan:
			result = PushRung
		default:
			result = PushSent
		}
		reached = reached || kind.ReachesGuestd()
		p.Pipes = append(p.Pipes, PipePush{Kind: pipe.Kind, Path: pipe.Path, Result: result})
	}
	if !reached {
		return Push{}, fmt.Errorf("%w: no pipe of it reaches guestd", ErrInvalid)
	}
	return p, nil
}

func set[T any](into, value *T) {
	if value != nil {
		*into = *value
	}
}

// TestSource gives the verdict that the Fake was given.
func (f *Fake) TestSource(_ context.Context, name string, n int) (SourceTest, error) {
	if err := f.known(name); err != nil {
		return SourceTest{}, err
	}
	t := f.Test
	t.Name, t.Samples = name, n
	return t, nil
}

// CaptureSource writes n bytes of a pattern.
func (f *Fake) CaptureSource(ctx context.Context, name string, n int, w io.Writer) error {
	if err := f.known(name); err != nil {
		return err
	}
	give := n
	if f.Stall {
		give = n / 2
	}
	for done := 0; done < give; {
		piece := make([]byte, min(give-done, 4096))
		for i := range piece {
			piece[i] = byte(done + i)
		}
		if _, err := w.Write(piece); err != nil {
			return err
		}
		done += len(piece)
	}
	if f.Stall {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

// CaptureRestarts writes rows that each begin with the number of the restart.
func (f *Fake) CaptureRestarts(ctx context.Context, name string, restarts, samples int, w io.Writer) error {
	if err := f.known(name); err != nil {
		return err
	}
	row := make([]byte, samples)
	for i := range restarts {
		if f.Stall && i == restarts/2 {
			<-ctx.Done()
			return ctx.Err()
		}
		row[0] = byte(i)
		if _, err := w.Write(row); err != nil {
			return err
		}
	}
	return nil
}

// GiveSeed gives seeds that are all of one byte, which counts up.
func (f *Fake) GiveSeed(ctx context.Context, r SeedRequest, give func(uint64, []byte) error) error {
	if f.Stall {
		<-ctx.Done()
		return ctx.Err()
	}
	f.mu.Lock()
	f.Snapshot.SeedsGiven++
	f.Seeds = append(f.Seeds, r)
	count := f.Snapshot.SeedsGiven
	f.mu.Unlock()
	seed := bytes.Repeat([]byte{byte(count)}, SeedSize)
	defer clear(seed)
	return give(count, seed)
}

func (f *Fake) known(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.Snapshot.Sources {
		if s.Name == name {
			return nil
		}
	}
	return fmt.Errorf("source %w", ErrNotFound)
}

// Meter is that of the snapshot.
func (f *Fake) Meter() MeterStatus { return f.Status().Meter }

// RNG gives what the Fake was given.
func (f *Fake) RNG() (RNG, error) {
	if f.Readers == nil {
		return RNG{}, fmt.Errorf("%w: the meter is off", ErrInvalid)
	}
	return f.Readers()
}

// Reload gives the error that the Fake was given.
func (f *Fake) Reload() error { return f.ReloadErr }

// Hook checks a call as the daemon does, and keeps it.
func (f *Fake) Hook(h HookCall) error {
	if err := h.Check(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Hooks = append(f.Hooks, h)
	return f.HookErr
}

// Events is the Fake's own log.
func (f *Fake) Events() *events.Log { return f.log }
