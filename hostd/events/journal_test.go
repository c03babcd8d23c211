package events

import (
	"bytes"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/coreos/go-systemd/v22/journal"
)

type sent struct {
	message  string
	priority journal.Priority
	vars     map[string]string
}

func journalOf(into *[]sent, level slog.Level) *slog.Logger {
	return slog.New(&journalHandler{level: level, send: func(m string, p journal.Priority, v map[string]string) error {
		*into = append(*into, sent{m, p, v})
		return nil
	}})
}

func TestJournalFields(t *testing.T) {
	var got []sent
	l := New(journalOf(&got, slog.LevelInfo))
	l.Add(Event{Level: slog.LevelWarn, Kind: "refused", Subject: "web1", Message: "peer refused",
		Fields: map[string]string{"peer-uid": "107", "error": "busy"}})
	l.Add(Event{Level: slog.LevelDebug, Kind: "x", Message: "below the level"})
	l.lines.write()
	want := []sent{{"web1: peer refused (busy)", journal.PriWarning, map[string]string{
		"SYSLOG_IDENTIFIER": "hostd", "HEADGATE_KIND": "refused", "HEADGATE_SUBJECT": "web1", "HEADGATE_PEER_UID": "107", "HEADGATE_ERROR": "busy",
	}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestJournalGroupsAndPriorities(t *testing.T) {
	var got []sent
	l := journalOf(&got, slog.LevelDebug).With("a", 1).WithGroup("g").With("b", true)
	l.Error("e", slog.Group("h", "c", "x"), slog.Group("", "d", "y"))
	l.Info("i")
	l.Debug("d")
	want := map[string]string{"SYSLOG_IDENTIFIER": "hostd", "HEADGATE_A": "1", "HEADGATE_G_B": "true", "HEADGATE_G_H_C": "x", "HEADGATE_G_D": "y"}
	if !reflect.DeepEqual(got[0].vars, want) {
		t.Errorf("got %v", got[0].vars)
	}
	for i, p := range []journal.Priority{journal.PriErr, journal.PriInfo, journal.PriDebug} {
		if got[i].priority != p {
			t.Errorf("%s has priority %d, want %d", got[i].message, got[i].priority, p)
		}
	}
}

func TestLineHandlerFollowsTheLevel(t *testing.T) {
	var out bytes.Buffer
	var level slog.LevelVar
	l := slog.New(lineHandler(&out, "text", &level))
	l.Debug("hidden")
	level.Set(slog.LevelDebug)
	l.Debug("shown")
	if s := out.String(); strings.Contains(s, "hidden") || !strings.Contains(s, "msg=shown") {
		t.Errorf("logged %q", s)
	}
}
