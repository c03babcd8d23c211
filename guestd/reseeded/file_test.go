//go:build linux

package reseeded

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"headgate/wire/feed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// watched counts how often the file was replaced.
type watched struct {
	File
	t    *testing.T
	last os.FileInfo
}

func watch(t *testing.T) *watched {
	w := &watched{t: t}
	w.Path = filepath.Join(t.TempDir(), "headgate", "reseeded")
	w.Warn = func(line string) { t.Error(line) }
	return w
}

// holds says whether the file was replaced since the last time, and has this reason.
func (w *watched) holds(when, reason string) {
	w.t.Helper()
	synctest.Wait()
	text, err := os.ReadFile(w.Path)
	if err != nil {
		w.t.Errorf("%s: %v", when, err)
		return
	}
	now, err := os.Stat(w.Path)
	if err != nil || w.last != nil && os.SameFile(w.last, now) {
		w.t.Errorf("%s: not replaced, %v", when, err)
	}
	w.last = now
	if lines := strings.Split(string(text), "\n"); len(lines) != 3 || lines[0] != "REASON="+reason || lines[2] != "" {
		w.t.Errorf("%s: %q", when, text)
	}
}

// same says that the file was not replaced.
func (w *watched) same(when string) {
	w.t.Helper()
	synctest.Wait()
	if now, err := os.Stat(w.Path); err != nil || !os.SameFile(w.last, now) {
		w.t.Errorf("%s: replaced, or %v", when, err)
	}
}

func TestForm(t *testing.T) {
	w := watch(t)
	w.Fresh(feed.ReasonPush, time.Date(2026, 1, 2, 4, 4, 5, 678_900_000, time.FixedZone("", 3600)))
	const want = "REASON=push\nTIME=2026-01-02T03:04:05.678Z\n"
	if text, err := os.ReadFile(w.Path); err != nil || string(text) != want {
		t.Errorf("%q, %v", text, err)
	}
	entries, _ := os.ReadDir(filepath.Dir(w.Path))
	if len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestOnceABoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t)
		w.Fresh(feed.ReasonStart, time.Now())
		w.holds("the first seed", boot)
		for range 3 {
			time.Sleep(time.Minute)
			w.Fresh(feed.ReasonInterval, time.Now())
			w.same("at the interval")
		}
		next := &watched{File: File{Path: w.Path, Warn: w.Warn}, t: t, last: w.last}
		next.Fresh(feed.ReasonStart, time.Now())
		next.same("guestd was restarted")
		next.Fresh(feed.ReasonFork, time.Now())
		next.holds("a sign", feed.ReasonFork)
	})
}

func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t)
		w.Fresh(feed.ReasonPeers, time.Now())
		w.holds("at once", feed.ReasonPeers)
		time.Sleep(100 * time.Millisecond)
		w.Fresh(feed.ReasonFork, time.Now())
		w.Fresh(feed.ReasonInterval, time.Now())
		w.Fresh(feed.ReasonPush, time.Now())
		w.same("in the burst")
		time.Sleep(burst - 101*time.Millisecond)
		w.same("still")
		time.Sleep(time.Millisecond)
		w.holds("at its end", feed.ReasonPush)
		time.Sleep(time.Minute)
		w.same("later")
		w.Fresh(feed.ReasonClock, time.Now())
		w.holds("the next", feed.ReasonClock)
	})
}

func TestFailureIsOneWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines []string
		f := File{Path: "/proc/nonexistent/reseeded", Warn: func(line string) { lines = append(lines, line) }}
		for range 3 {
			f.Fresh(feed.ReasonPush, time.Now())
			time.Sleep(2 * burst)
		}
		if len(lines) != 1 || !strings.Contains(lines[0], f.Path) {
			t.Errorf("%q", lines)
		}
	})
}

// In a folder of another user's a link must not lead to what is not his.
func TestNoLinkIsFollowed(t *testing.T) {
	w := watch(t)
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Dir(w.Path), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{w.Path, w.Path + ".new"} {
		if err := os.Symlink(other, name); err != nil {
			t.Fatal(err)
		}
	}
	w.Fresh(feed.ReasonPush, time.Now())
	if text, err := os.ReadFile(other); err != nil || string(text) != "precious" {
		t.Errorf("%q, %v", text, err)
	}
	if info, err := os.Lstat(w.Path); err != nil || !info.Mode().IsRegular() {
		t.Errorf("%v, %v", info, err)
	}
}

// A host that is started again and again has what watches the file run once a minute.
func TestOnAndOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t)
		replaced := 0
		for range 1800 { // an hour
			w.Fresh(feed.ReasonPush, time.Now())
			synctest.Wait()
			if now, err := os.Stat(w.Path); err != nil {
				t.Fatal(err)
			} else if w.last == nil || !os.SameFile(w.last, now) {
				w.last = now
				replaced++
			}
			time.Sleep(2 * time.Second)
		}
		if replaced < 60 || replaced > 66 {
			t.Errorf("replaced %d times in an hour", replaced)
		}
		time.Sleep(3 * time.Minute)
		w.last, _ = os.Stat(w.Path)
		w.Fresh(feed.ReasonFork, time.Now())
		w.holds("after a while of quiet", feed.ReasonFork)
	})
}
