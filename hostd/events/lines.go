package events

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
)

// maxLines is how many events may wait to be written. More come at once only
// when as many guests connect; then the number of those left out is written.
const maxLines = 1 << 14

// lines are the events that wait to be written to the log or the journal. Those
// who add them are on the way of bytes to guests: a slow terminal must not keep
// them, and the depth of a log handler is no part of their stacks.
type lines struct {
	logger *slog.Logger
	come   chan struct{} // has a token if something waits

	mu      sync.Mutex
	waiting []Event
	missed  int
}

func (l *lines) put(e Event) {
	l.mu.Lock()
	if len(l.waiting) < maxLines {
		l.waiting = append(l.waiting, e)
	} else {
		l.missed++
	}
	l.mu.Unlock()
	select {
	case l.come <- struct{}{}:
	default:
	}
}

// Run writes events to the logger until ctx is done and all are written.
func (l *Log) Run(ctx context.Context) error {
	for {
		select {
		case <-l.lines.come:
			l.lines.write()
		case <-ctx.Done():
			l.lines.write()
			return nil
		}
	}
}

// write writes what waits.
func (l *lines) write() {
	l.mu.Lock()
	events, missed := l.waiting, l.missed
	l.waiting, l.missed = nil, 0
	l.mu.Unlock()
	for _, e := range events {
		attrs := make([]slog.Attr, 0, 2+len(e.Fields))
		attrs = append(attrs, slog.String("kind", e.Kind))
		if e.Subject != "" {
			attrs = append(attrs, slog.String("subject", e.Subject))
		}
		for _, k := range slices.Sorted(maps.Keys(e.Fields)) {
			attrs = append(attrs, slog.String(k, e.Fields[k]))
		}
		l.logger.LogAttrs(context.Background(), e.Level, e.Message, attrs...)
	}
	if missed > 0 {
		l.logger.Warn(strconv.Itoa(missed)+" events were not written because the log is too slow", "kind", Dropped)
	}
}
