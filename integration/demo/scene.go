//go:build linux

package main

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"headgate/hostd/control"
)

// scene is all that there is to see. The play writes it, the watcher adds
// hostd's status, the view draws it.
type scene struct {
	begun time.Time

	mu     sync.Mutex
	notes  []note
	status control.Status
	actors map[string]*actor
	inflow flow // bytes conditioned
	bytes  float64
	over   time.Duration
}

type note struct {
	at   time.Duration // since the scene's begin
	text string
}

// actor is one guest as the play knows it; what hostd knows is in the status.
type actor struct {
	flow       flow
	booted     time.Duration // 0: not yet
	ready      time.Duration // from readyAfter to crng init done
	readyAfter string
	peakKiB    int           // VmHWM of its guestd
	latest     time.Duration // how late its latest heartbeat was
	reads      chan struct{} // closed when it reads without pause
	done       chan struct{} // closed when its part is over
}

func newScene() *scene {
	return &scene{begun: time.Now(), actors: map[string]*actor{
		greedy: {reads: make(chan struct{}), done: make(chan struct{})},
		normal: {reads: make(chan struct{}), done: make(chan struct{})},
	}}
}

func (s *scene) actor(name string) *actor { return s.actors[name] }

func (s *scene) change(name string, f func(*actor)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.actors[name])
}

func (s *scene) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes = append(s.notes, note{at: time.Since(s.begun), text: fmt.Sprintf(format, args...)})
}

// measured keeps what the greedy guest has got over a time of its own clock.
func (s *scene) measured(bytes float64, over time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes, s.over = bytes, over
}

// saw takes in a status of hostd.
func (s *scene) saw(status control.Status, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
	s.inflow.add(at, status.Reservoir.ConditionedBytes)
	for _, g := range status.Guests {
		if a := s.actors[g.Name]; a != nil {
			a.flow.add(at, g.Bytes)
		}
	}
}

const sourceUp = "up"

func (s *scene) sourcesUp() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, source := range s.status.Sources {
		if source.State == sourceUp {
			n++
		}
	}
	return n
}

// sourceTrouble says what hostd says of sources that are not up.
func (s *scene) sourceTrouble() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.status.Sources) == 0 {
		return "hostd found none (no /dev/hwrng that may be read, no RDSEED)"
	}
	var all []string
	for _, source := range s.status.Sources {
		all = append(all, fmt.Sprintf("%s is %s %s", source.Name, source.State, source.Error))
	}
	return strings.Join(all, "; ")
}
