//go:build linux

package feeder

import (
	"errors"
	"strconv"
	"time"

	"headgate/guestd/pipe"
	"headgate/wire/feed"
)

// note takes note of what came on a line, and tells who is to know. Its error is that
// of the kernel's pool.
func (f *Feeder) note(a arrival) error {
	l := a.on
	switch {
	case unanswered(a.end):
		l.owed = 0
		l.away = errors.Is(a.end, pipe.ErrAway)
		f.trouble(l.Kind(), l.Path()+": "+a.end.Error())
		return nil
	case a.end != nil:
		f.drop(l)
		f.trouble(l.Kind(), l.Path()+": "+a.end.Error())
		return nil
	}
	l.came(a)
	if a.refused != nil || a.n == 0 {
		return a.refused
	}
	if a.pushed {
		f.because(feed.ReasonPush)
	}
	r := &f.record
	r.Bytes += a.n
	r.Bits += a.out.Bits
	r.Pipe, r.Kind, r.Health = l.Path(), string(l.Kind()), "passed"
	if a.out.Failed != nil {
		r.Failures++
		r.Health = a.out.Failed.Error()
		f.Warn(r.Pipe + ": " + r.Health + ": mixed without credit; if it happens again, test the host's source: hostd source test")
		f.report(l, feed.ReasonHealth)
	}
	reason := f.reason
	switch {
	case a.out.Gathered:
		f.well(l.Kind())
		f.seeded(reason, a)
		f.report(l, reason)
	case a.out.Unready:
		f.trouble("", notEnough)
	}
	f.changed()
	if a.out.Gathered {
		f.Fresh(reason, r.Reseeded)
	}
	return nil
}

// seeded takes note of a reseed with fresh bytes.
func (f *Feeder) seeded(reason string, a arrival) {
	r := &f.record
	r.Reseeded, r.Reason = time.Now(), reason
	r.Reseeds++
	if r.Seeded.IsZero() {
		r.Seeded, r.Uptime = r.Reseeded, f.Uptime()
	}
	if reason != feed.ReasonInterval {
		f.Log("reseeded (" + reason + "): " + strconv.Itoa(a.n) + " bytes, " + strconv.Itoa(a.out.Bits) + " bits credited, from " + r.Pipe)
	}
}

// report tells the host of a line. One that has just come, or whose guest has just been
// restored, may have sent before it can be sent to: then it is told a little later. If
// nobody listens, nobody misses it.
func (f *Feeder) report(l *line, reason string) {
	l.untold, l.tries = reason, tellTries
	f.tell(l)
}

const (
	tellTries = 5
	tellAgain = 100 * time.Millisecond
)

// tell tries to tell the host of a line what it was not told.
func (f *Feeder) tell(l *line) {
	seeded := int64(0)
	if at := f.record.Reseeded; !at.IsZero() {
		seeded = at.UnixNano()
	}
	err := l.Report(&feed.Report{
		Seeded: seeded, Credited: uint64(f.record.Bits), Boot: f.Boot, Reason: l.untold, Version: f.Version,
	})
	if l.tries--; errors.Is(err, pipe.ErrAway) && l.tries > 0 {
		f.telling.Reset(tellAgain)
		return
	}
	l.untold = ""
}
