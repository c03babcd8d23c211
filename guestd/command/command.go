//go:build linux

// Package command is guestd's command line.
//
// It promises exit status 0, 1 (failed) or 2 (usage), and of every error one line
// that says what, where, why and what to do about it.
package command

import (
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Exit statuses.
const (
	ok     = 0
	failed = 1
	usage  = 2
)

// Main runs guestd with its arguments, without the program's name.
func Main(args []string, version string, stdout, stderr io.Writer) int {
	name, allowed := "", "interval bytes credit pipe poll status"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	}
	switch name {
	case "":
	case "seed":
		allowed = "timeout bytes credit pipe status"
	case "status":
		allowed = "json status"
	case "check":
		allowed = "root json"
	case "version":
		allowed = ""
	case "help":
		name, args = strings.Join(args, " "), []string{"--help"}
	}
	text, known := helps[name]
	if !known {
		return fail(stderr, usage, "unknown command "+name+": see guestd --help")
	}
	o := defaults()
	if err := o.parse(args, allowed); err != nil {
		see := strings.TrimSpace("guestd " + name)
		return fail(stderr, usage, strings.TrimSpace(name+" "+err.Error())+": see "+see+" --help")
	}
	var err error
	switch {
	case o.help:
		_, _ = io.WriteString(stdout, text)
	case name == "version":
		_, _ = io.WriteString(stdout, "guestd "+version+"\n")
	case name == "status":
		err = show(&o, stdout)
	case name == "check":
		err = runCheck(&o, stdout)
	case name == "seed":
		err = seed(&o, version)
	default:
		err = serve(&o, version, stderr)
	}
	if err != nil {
		return fail(stderr, failed, err.Error())
	}
	return ok
}

func fail(w io.Writer, code int, text string) int {
	say(w, fault, text)
	return code
}

// Severities of a line in the journal (sd-daemon(3)): SD_ERR, SD_WARNING, and the
// one that the unit gives to what has no prefix.
const (
	fault   = "<3>"
	warning = "<4>"
	note    = ""
)

// say writes one line. The journal adds the name of who said it.
func say(w io.Writer, severity, text string) {
	prefix := "guestd: "
	if f, ok := w.(*os.File); ok && journal(f) {
		prefix = severity
	}
	_, _ = io.WriteString(w, prefix+text+"\n")
}

// journal says whether f goes to the journal: systemd has put its device and inode into
// JOURNAL_STREAM, which a shell hands on to what writes elsewhere, too (systemd.exec(5)).
func journal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil {
		return false
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && os.Getenv("JOURNAL_STREAM") == strconv.FormatUint(s.Dev, 10)+":"+strconv.FormatUint(s.Ino, 10)
}
