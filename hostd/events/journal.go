package events

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"os"
	"strings"

	"github.com/coreos/go-systemd/v22/journal"
)

// NewLogger gives the logger that fits where hostd runs: the journal with
// HEADGATE_* fields if stderr is connected to it, else lines on stderr in the
// format given, "text" or "json". The level may change while it is in use.
func NewLogger(format string, level slog.Leveler) *slog.Logger {
	if is, err := journal.StderrIsJournalStream(); err == nil && is && journal.Enabled() {
		return slog.New(&journalHandler{level: level, send: journal.Send})
	}
	return slog.New(lineHandler(os.Stderr, format, level))
}

func lineHandler(w io.Writer, format string, level slog.Leveler) slog.Handler {
	options := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.NewJSONHandler(w, options)
	}
	return slog.NewTextHandler(w, options)
}

// journalHandler writes to the journal by its native protocol
// (systemd.io/JOURNAL_NATIVE_PROTOCOL), every attribute in a field of its own.
type journalHandler struct {
	level  slog.Leveler
	send   func(message string, priority journal.Priority, vars map[string]string) error
	prefix string // of groups, in the form of a field name
	vars   map[string]string
}

func (h *journalHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.level.Level()
}

func (h *journalHandler) Handle(_ context.Context, r slog.Record) error {
	vars := maps.Clone(h.vars)
	if vars == nil {
		vars = make(map[string]string, r.NumAttrs()+1)
	}
	vars["SYSLOG_IDENTIFIER"] = "hostd"
	r.Attrs(func(a slog.Attr) bool {
		put(vars, h.prefix, a)
		return true
	})
	return h.send(sentence(r.Message, vars), priority(r.Level), vars)
}

// sentence is what a reader of the journal sees without the fields: what the event
// is about and why, beside what happened.
func sentence(message string, vars map[string]string) string {
	if subject := vars["HEADGATE_SUBJECT"]; subject != "" {
		message = subject + ": " + message
	}
	for _, why := range []string{"HEADGATE_DETAIL", "HEADGATE_ERROR"} {
		if vars[why] != "" {
			message += " (" + vars[why] + ")"
		}
	}
	return message
}

func (h *journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	if with.vars = maps.Clone(h.vars); with.vars == nil {
		with.vars = map[string]string{}
	}
	for _, a := range attrs {
		put(with.vars, h.prefix, a)
	}
	return &with
}

func (h *journalHandler) WithGroup(name string) slog.Handler {
	with := *h
	if name != "" {
		with.prefix = h.prefix + name + "_"
	}
	return &with
}

func put(vars map[string]string, prefix string, a slog.Attr) {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "_"
		}
		for _, member := range v.Group() {
			put(vars, prefix, member)
		}
		return
	}
	if a.Key != "" {
		vars[fieldName(prefix+a.Key)] = v.String()
	}
}

// fieldName makes a name that the journal takes: capitals, digits and _.
func fieldName(key string) string {
	return "HEADGATE_" + strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, key)
}

func priority(level slog.Level) journal.Priority {
	switch {
	case level >= slog.LevelError:
		return journal.PriErr
	case level >= slog.LevelWarn:
		return journal.PriWarning
	case level >= slog.LevelInfo:
		return journal.PriInfo
	}
	return journal.PriDebug
}
