package events

import (
	"log/slog"
	"strconv"
)

// backlog is how many events a follower may fall behind.
const backlog = 256

// Dropped is the kind of the event that tells a follower how many it has missed
// by being slow. Only that follower sees it, and it has no number.
const Dropped = "events_dropped"

// Follower gets events as they come.
type Follower struct {
	// C gives the events; it is closed by Close.
	C <-chan Event

	log    *Log
	c      chan Event
	missed uint64 // guarded by log.mu
}

// Follow gives what Since gives, and a Follower that goes on exactly behind it.
// Close must be called on it.
func (l *Log) Follow(seq uint64) ([]Event, *Follower) {
	c := make(chan Event, backlog)
	f := &Follower{C: c, c: c, log: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.followers[f] = struct{}{}
	return l.since(seq), f
}

// Close ends following. It may be called more than once.
func (f *Follower) Close() {
	f.log.mu.Lock()
	defer f.log.mu.Unlock()
	if _, open := f.log.followers[f]; open {
		delete(f.log.followers, f)
		close(f.c)
	}
}

// offer hands the event over if there is room, and never waits. It is called
// with the log locked, so nobody else sends.
func (f *Follower) offer(e Event) {
	need := 1
	if f.missed > 0 {
		need = 2 // what was missed is told before what comes after it
	}
	if cap(f.c)-len(f.c) < need {
		f.missed++
		return
	}
	if f.missed > 0 {
		n := strconv.FormatUint(f.missed, 10)
		f.c <- Event{
			Time: e.Time, Level: slog.LevelWarn, Kind: Dropped,
			Message: n + " events were dropped because they were not read in time",
			Fields:  map[string]string{"dropped": n},
		}
		f.missed = 0
	}
	f.c <- e
}
