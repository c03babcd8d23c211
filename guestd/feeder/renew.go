//go:build linux

package feeder

import (
	"errors"
	"strings"

	"headgate/guestd/kernelpool"
	"headgate/guestd/sign"
)

// renew is what is done at once on a sign that this guest may have begun a new life.
// It makes what little this guest alone has felt: the time-stamp counter, and what
// the sign brought. That keeps clones from drawing the same, and is no entropy. Then
// the pipes are to be asked: what they hold, and what they owe, is of before.
func (f *Feeder) renew(s sign.Sign) error {
	own := stamp(f.Cycles())
	err := f.pool.Add(append(own[:], s.Mix[:min(max(s.N, 0), len(s.Mix))]...), 0)
	if err == nil {
		err = f.pool.Reseed()
	}
	if errors.Is(err, kernelpool.ErrNotReady) { // the first seed is still to come, and will have it
		err = nil
	}
	for _, l := range f.lines {
		l.Renew()
		l.intake.Renew()
		l.owed = 0
	}
	f.because(s.Reason)
	return err
}

// clones says by which signs a clone is noticed here.
func (f *Feeder) clones() string {
	var signs []string
	for _, k := range f.pushes {
		signs = append(signs, "push on the "+string(k))
	}
	return strings.Join(append(signs, f.Covers()...), "; ")
}

// changed shows the record.
func (f *Feeder) changed() {
	f.record.Clones = f.clones()
	f.Changed(f.record)
}

// refresh shows it if there are other signs now: some begin to be watched later.
func (f *Feeder) refresh() {
	if f.record.Clones != f.clones() {
		f.changed()
	}
}
