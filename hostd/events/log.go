package events

import (
	"log/slog"
	"maps"
	"strconv"
	"sync"
	"time"
)

// Event is one thing that happened. It never holds a byte of entropy.
type Event struct {
	Seq     uint64            `json:"seq"` // from 1, without gaps, for each run of the daemon
	Time    time.Time         `json:"time"`
	Level   slog.Level        `json:"level"`
	Kind    string            `json:"kind"`              // such as "source_failed"
	Subject string            `json:"subject,omitempty"` // the source or guest that it is about
	Message string            `json:"message"`
	Fields  map[string]string `json:"fields,omitempty"`

	// Common says that it happens to very many subjects, at once or again and again:
	// then all of them are limited together, and more.
	Common bool `json:"-"`
}

// Ring is the number of events that a Log keeps.
const Ring = 1024

// Log keeps the last events and hands each on as it comes.
type Log struct {
	now   func() time.Time
	lines lines

	mu        sync.Mutex
	ring      [Ring]Event
	last      uint64 // sequence number of the newest
	limit     limiter
	followers map[*Follower]struct{}
}

// New makes a log that writes to the logger too, as soon as Run is called.
func New(logger *slog.Logger) *Log {
	return &Log{
		now:       time.Now,
		lines:     lines{logger: logger, come: make(chan struct{}, 1)},
		limit:     limiter{buckets: map[key]*bucket{}},
		followers: map[*Follower]struct{}{},
	}
}

// Add takes an event, unless there were too many of its kind and subject lately, or of
// its kind where it is common: those are counted, and the next that is taken tells how
// many there were, in its field "suppressed". Time is set if it is zero, Seq always.
func (l *Log) Add(e Event) {
	if e.Time.IsZero() {
		e.Time = l.now()
	}
	l.mu.Lock()
	suppressed, ok := l.limit.allow(e.key(), l.now())
	if !ok {
		l.mu.Unlock()
		return
	}
	e.Fields = maps.Clone(e.Fields) // the caller may go on using its own
	if suppressed > 0 {
		if e.Fields == nil {
			e.Fields = map[string]string{}
		}
		e.Fields["suppressed"] = strconv.FormatUint(suppressed, 10)
	}
	l.last++
	e.Seq = l.last
	l.ring[l.last%Ring] = e
	for f := range l.followers {
		f.offer(e)
	}
	l.lines.put(e)
	l.mu.Unlock()
}

// Since gives the events that are kept and came after the one numbered seq,
// oldest first; all of them for 0.
func (l *Log) Since(seq uint64) []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.since(seq)
}

func (l *Log) since(seq uint64) []Event {
	if l.last > Ring {
		seq = max(seq, l.last-Ring)
	}
	var list []Event
	for n := seq + 1; n <= l.last && n != 0; n++ {
		list = append(list, l.ring[n%Ring])
	}
	return list
}
