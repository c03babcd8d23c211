//go:build linux

// Package reseeded keeps a file that is replaced whenever the kernel's generator has
// begun anew: for what watches it, and has generators of its own to begin anew.
//
// It promises that a reader sees a whole file; that it is replaced at once and then not
// for two seconds, at whose end it is replaced once if there was more; that those two
// become a minute where it goes on, for what watches it may restart services; and that it
// is there after the first seed of a boot.
package reseeded

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"headgate/wire/feed"
)

// Path is where it is.
const Path = "/run/headgate/reseeded"

const (
	// burst is how long the signs of one new life may follow one another.
	burst = 2 * time.Second

	// longest is what the pause becomes where new lives follow one another, or a host
	// that is started again and again pushes each time.
	longest = time.Minute
)

// boot is the reason of the first, where nothing is left of before in this boot.
const boot = "boot"

// File is that file.
type File struct {
	Path string
	Warn func(string) // called once at the most

	mu     sync.Mutex
	looked bool      // for one that is there
	warned bool      // it cannot be written
	last   time.Time // when it was replaced
	pause  time.Duration
	quiet  time.Time // until then it is not
	reason string    // of the last that waits for that; empty if none does
	at     time.Time
}

// Fresh says that the kernel has reseeded, with fresh bytes, and why.
func (f *File) Fresh(reason string, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	first := !f.looked && f.absent()
	f.looked = true
	switch {
	case reason == feed.ReasonPush, reason == feed.ReasonFork, reason == feed.ReasonVMGenID,
		reason == feed.ReasonPeers, reason == feed.ReasonClock:
	case first:
		reason = boot
	default:
		return
	}
	waits := f.reason != ""
	f.reason, f.at = reason, at
	switch left := time.Until(f.quiet); {
	case waits:
	case left > 0:
		time.AfterFunc(left, f.end)
	default:
		f.write()
	}
}

// end is the end of a burst in which there was more.
func (f *File) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.write()
}

func (f *File) absent() bool {
	_, err := os.Stat(f.Path)
	return errors.Is(err, fs.ErrNotExist)
}

// write replaces the file. systemd reads it as it is (EnvironmentFile=).
func (f *File) write() {
	text := "REASON=" + f.reason + "\nTIME=" + f.at.UTC().Format("2006-01-02T15:04:05.000Z07:00") + "\n"
	now := time.Now()
	if now.Sub(f.last) <= 2*f.pause {
		f.pause = min(2*f.pause, longest)
	} else {
		f.pause = burst
	}
	f.reason, f.last, f.quiet = "", now, now.Add(f.pause)
	if err := replace(f.Path, text); err != nil && !f.warned {
		f.warned = true
		f.Warn("cannot write " + f.Path + ": " + err.Error() + ": what waits for it is not told of a new seed")
	}
}

// replace makes the next file anew, for the folder may be another user's who has put a
// link there.
func replace(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	next := path + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Rename(next, path)
}
