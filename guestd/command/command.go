//go:build linux

// Package command is guestd's command line.
//
// It promises exit status 0, 1 (failed) or 2 (usage), and of every error one line
// that says what, where, why and what to do about it.
package command

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"headgate/guestd/feeder"
	"headgate/guestd/kernelpool"
	"headgate/guestd/pipe"
	"headgate/guestd/status"
	"headgate/guestd/tsc"
)

// Exit statuses.
const (
	ok     = 0
	failed = 1
	usage  = 2
)

// Main runs guestd with its arguments, without the program's name.
func Main(args []string, version string, stdout, stderr io.Writer) int {
	name, allowed := "", "interval bytes credit pipe status"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	}
	switch name {
	case "":
	case "seed":
		allowed = "timeout bytes credit pipe status"
	case "status":
		allowed = "json status"
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
	default:
		err = run(&o, name == "seed", version, stderr)
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

// say writes one line. systemd sets JOURNAL_STREAM where it goes to the journal,
// which adds the name of who said it (systemd.exec(5)).
func say(w io.Writer, severity, text string) {
	prefix := "guestd: "
	if os.Getenv("JOURNAL_STREAM") != "" {
		prefix = severity
	}
	_, _ = io.WriteString(w, prefix+text+"\n")
}

// run feeds, once or for ever.
func run(o *options, once bool, version string, stderr io.Writer) error {
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) // no core dump: it would hold what is fed
	pool, err := kernelpool.Open()
	if err != nil {
		return errors.New("cannot open the kernel's pool: " + err.Error() + ": is /dev mounted?")
	}
	defer func() { _ = pool.Close() }()
	place := pipe.Place{Path: o.paths}
	warn := func(line string) { say(stderr, warning, line) }
	unwritten := false
	f := feeder.Feeder{
		Pool: pool, Credit: o.credit, Cycles: tsc.Now, Uptime: uptime, Boot: bootID(),
		Interval: o.interval, Bytes: o.bytes, Version: version,
		Log: func(line string) { say(stderr, note, line) }, Warn: warn,
		Open: func(k pipe.Kind) (pipe.Pipe, error) {
			if !slices.Contains(o.kinds, k) {
				return nil, pipe.ErrNone
			}
			return place.Open(k)
		},
		Changed: func(r status.Record) {
			if err := r.Write(o.status); err != nil && !unwritten {
				unwritten = true
				warn("cannot write the status: " + err.Error() + ": feeding goes on")
			}
		},
	}
	if once {
		f.Log = func(string) {} // what matters of it is in the error
		f.Warn = f.Log
		if err := f.Seed(o.timeout); err != nil {
			return errors.New("not seeded: " + err.Error())
		}
		return nil
	}
	if err := f.Run(nil); err != nil {
		return errors.New("cannot feed the kernel's pool: " + kernelpool.Path + ": " + err.Error())
	}
	return nil
}

func show(o *options, stdout io.Writer) error {
	r, raw, err := status.Read(o.status)
	if err != nil {
		return errors.New("no status: " + err.Error() + ": has guestd run?")
	}
	if !o.json {
		alive := unix.Kill(r.PID, 0)
		raw = r.Text(nil, alive == nil || errors.Is(alive, unix.EPERM), time.Now())
	}
	_, err = stdout.Write(raw)
	return err
}
