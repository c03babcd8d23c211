package command

import (
	"log/syslog"

	"github.com/coreos/go-systemd/v22/journal"
)

// syslogLine writes a warning to the journal, or to syslog, or to nobody: a
// command that another daemon runs has no terminal that anybody reads.
func syslogLine(line string) {
	if journal.Enabled() &&
		journal.Send(line, journal.PriWarning, map[string]string{"SYSLOG_IDENTIFIER": "hostd"}) == nil {
		return
	}
	w, err := syslog.New(syslog.LOG_DAEMON|syslog.LOG_WARNING, "hostd")
	if err != nil {
		return
	}
	defer w.Close()
	_ = w.Warning(line)
}
