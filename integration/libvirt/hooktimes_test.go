//go:build linux

package libvirt

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// hookTimes is what a script around the hook measures.
type hookTimes struct{ file string }

// timeHook puts that script around the hook until the test ends.
func (h *host) timeHook(t *testing.T) hookTimes {
	t.Helper()
	times := hookTimes{filepath.Join(run, "hook.times")}
	inner := filepath.Join(hooks, "headgate.timed")
	if err := os.Rename(hookScript, inner); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Rename(inner, hookScript); err != nil {
			t.Error(err)
		}
	})
	script := fmt.Sprintf(`#!/bin/sh
begun=$(date +%%s%%N)
%s "$@"
code=$?
ended=$(date +%%s%%N)
echo "$2 $((ended - begun)) $code" >>%s
exit $code
`, inner, times.file)
	if err := os.WriteFile(hookScript, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return times
}

// timesOf are the runs of the hook since the last look.
type timesOf struct{ all []time.Duration }

func (times hookTimes) take(t *testing.T) (of timesOf) {
	t.Helper()
	text, err := os.ReadFile(times.file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(times.file); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var op string
		var took time.Duration
		var code int
		if _, err := fmt.Sscan(line, &op, &took, &code); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if code != 0 {
			t.Errorf("the hook for %s ended with %d", op, code)
		}
		of.all = append(of.all, took)
	}
	slices.Sort(of.all)
	return of
}

func (of timesOf) most() time.Duration { return of.all[len(of.all)-1] }

func (of timesOf) median() time.Duration { return of.all[len(of.all)/2] }

func (of timesOf) String() string {
	return fmt.Sprintf("%s in the median and %s at most, in %d runs",
		of.median().Round(100*time.Microsecond), of.most().Round(100*time.Microsecond), len(of.all))
}
