//go:build linux

package command

import (
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"headgate/guestd/confidential"
	"headgate/guestd/feeder"
	"headgate/guestd/kernel"
	"headgate/guestd/kernelpool"
	"headgate/guestd/pipe"
	"headgate/guestd/realtime"
	"headgate/guestd/reseeded"
	"headgate/guestd/sign"
	"headgate/guestd/status"
	"headgate/guestd/tsc"
)

// serve feeds for ever.
func serve(o *options, version string, stderr io.Writer) error {
	warn := func(line string) { say(stderr, warning, line) }
	if err := realtime.Set(); err != nil {
		warn(strings.ReplaceAll(err.Error(), "\n", "; ") + ": feeding goes on")
	}
	f, end, err := newFeeder(o, version)
	if err != nil {
		return err
	}
	defer end()
	f.Warn, f.Log = warn, func(line string) { say(stderr, note, line) }
	if kind := f.Known.Confidential; kind != "" && o.credit.Auto() {
		f.Log("this is a confidential VM (" + kind + "), whose host is not to be trusted: what it sends is mixed and not credited; --credit full would credit it")
	}
	unwritten, missing := false, noting(func() kernel.Kernel { return kernel.Running("") })
	f.Changed = func(r status.Record) {
		missing(&r)
		if err := keep(o, r); err != nil && !unwritten {
			unwritten = true
			warn("cannot write the status: " + err.Error() + ": feeding goes on")
		}
	}
	file := reseeded.File{Path: reseeded.Path, Warn: warn}
	f.Fresh = file.Fresh

	signs := make(chan sign.Sign)
	watcher := sign.Watcher{Poll: o.poll}
	f.Signs, f.Covers = signs, watcher.Covers
	go func() { // the first seed does not wait for it
		for _, err := range watcher.Start(nil, signs) {
			warn("a sign of a clone is not watched for: " + err.Error())
		}
	}()
	return refused(f.Run(nil))
}

// noting writes into a record what the kernel has and what is missing. It looks again
// when clones are noticed by other signs than before: udev loads modules beside guestd.
func noting(look func() kernel.Kernel) func(*status.Record) {
	var k kernel.Kernel
	var clones string
	looked := false
	return func(r *status.Record) {
		if !looked || r.Clones != clones {
			k, clones, looked = look(), r.Clones, true
		}
		r.Kernel, r.Notes = k.Release, strings.Join(k.Notes(), "; ")
	}
}

// seed feeds once.
func seed(o *options, version string) error {
	f, end, err := newFeeder(o, version)
	if err != nil {
		return err
	}
	defer end()
	f.Warn, f.Log = func(string) {}, func(string) {} // what matters of it is in the error
	f.Changed = func(r status.Record) { _ = keep(o, r) }
	if err := f.Seed(o.timeout); err != nil {
		return errors.New("not seeded: " + err.Error())
	}
	return nil
}

// newFeeder returns what both have in common, and how to end it.
func newFeeder(o *options, version string) (*feeder.Feeder, func(), error) {
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) // no core dump: it would hold what is fed
	pool, err := kernelpool.Open()
	if err != nil {
		return nil, nil, errors.New("cannot open the kernel's pool: " + err.Error() + ": is /dev mounted?")
	}
	credit, kind := o.credit, confidential.Here()
	if kind != "" {
		credit = credit.Untrusting()
	}
	place := pipe.Place{Path: o.paths}
	return &feeder.Feeder{
		Pool: pool, Credit: credit, Cycles: tsc.Now, Uptime: uptime, Boot: bootID(),
		Interval: o.interval, Bytes: o.bytes, Version: version,
		Known:  status.Record{Confidential: kind},
		Covers: func() []string { return nil }, Fresh: func(string, time.Time) {},
		Open: func(k pipe.Kind) (pipe.Pipe, error) {
			if !slices.Contains(o.kinds, k) {
				return nil, pipe.ErrNone
			}
			return place.Open(k)
		},
	}, func() { _ = pool.Close() }, nil
}

// keep keeps the record, if it is to be kept.
func keep(o *options, r status.Record) error {
	if o.status == "" {
		return nil
	}
	return r.Write(o.status)
}

func refused(err error) error {
	if err == nil {
		return nil
	}
	return errors.New("cannot feed the kernel's pool: " + kernelpool.Path + ": " + err.Error())
}
