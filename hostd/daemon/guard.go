package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/hostd/events"
	"headgate/hostd/guard"
)

// shield keeps this process, and what it runs, from the network.
type shield struct {
	mode     string       // as configured
	guard    *guard.Guard // nil: there is none
	confined bool         // seccomp refuses the other families

	mu   sync.Mutex
	flaw error // why it is less than it is to be
}

// raise attaches the guard, and has seccomp refuse what the guard does not see. It is
// an error where hostd must not start: with a socket of the network in its hands, or
// without a part of the shield though it is required.
func raise(mode string) (*shield, error) {
	s := &shield{mode: mode}
	if mode == config.GuardOff {
		return s, nil
	}
	if err := s.build(); err != nil {
		s.lower()
		return nil, err
	}
	return s, nil
}

func (s *shield) build() (err error) {
	handed := (*guard.Handed)(nil)
	if err := guard.Inherited(); errors.As(err, &handed) {
		return fmt.Errorf("network guard: %w", err)
	} else if err := s.lacks(err); err != nil {
		return err
	}
	s.guard, err = guard.Attach()
	if err := s.lacks(err); err != nil {
		return err
	}
	err = guard.Confine(s.guard != nil)
	s.confined = err == nil
	return s.lacks(err)
}

// fasten gives up what attaching programs takes. Nothing can be attached afterwards.
func (s *shield) fasten() error {
	err := guard.Drop()
	if s.mode != config.GuardOff {
		err = cmp.Or(err, guard.Latch()) // in any case: the one makes up for the other
	}
	return s.lacks(err)
}

// lacks keeps the first thing that the shield lacks. It is an error if that is required:
// then the guard holds until hostd has ended.
func (s *shield) lacks(err error) error {
	if err == nil {
		return nil
	}
	if s.mode == config.GuardRequire {
		return fmt.Errorf(`network guard: %w; with guard = "on" hostd serves without it, too`, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flaw == nil {
		s.flaw = err
	}
	return nil
}

// lower ends the guard, with the process.
func (s *shield) lower() {
	if s.guard != nil {
		_ = s.guard.Close() // the kernel does what is left
	}
}

// warning is what somebody who looks has to see at once; "": nothing.
func (s *shield) warning() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.flaw == nil:
		return ""
	case s.mode == config.GuardOff:
		return "hostd keeps rights that it has no use for: " + s.flaw.Error()
	case s.guard == nil:
		return "the network guard is not up: " + s.flaw.Error()
	}
	return "the network guard lacks a part: " + s.flaw.Error()
}

func (s *shield) status() control.GuardStatus {
	status := control.GuardStatus{Mode: s.mode, Confined: s.confined}
	s.mu.Lock()
	if s.flaw != nil {
		status.Error = s.flaw.Error()
	}
	s.mu.Unlock()
	if s.guard != nil {
		status.Up, status.Cgroup, status.Refused = true, s.guard.Cgroup(), s.guard.Refused()
	}
	return status
}

// watchGuard is the task that tells of every try to reach the network.
func (d *Daemon) watchGuard(ctx context.Context) error {
	if d.shield.guard == nil {
		return nil
	}
	return d.shield.guard.Watch(ctx, func(t guard.Try) {
		d.log.Add(events.Event{
			Level: slog.LevelError, Kind: "guard_refused", Subject: t.Process,
			Message: fmt.Sprintf("%s (pid %d) tried to make a socket of the network, %s %s: refused", t.Process, t.PID, t.Family, t.Type),
			Fields: map[string]string{
				"family": t.Family, "type": t.Type, "protocol": t.Protocol,
				"process": t.Process, "pid": strconv.Itoa(t.PID),
			},
		})
	})
}
