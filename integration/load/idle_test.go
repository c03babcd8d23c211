//go:build linux

package load

import (
	"os/exec"
	"testing"
	"time"
)

// The time of a process is known to better than a tick, and as long as it is there.
func TestCPU(t *testing.T) {
	busy := exec.Command("sh", "-c", "while :; do :; done")
	if err := busy.Start(); err != nil {
		t.Fatal(err)
	}
	before, err := CPU(busy.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	ticks := true
	for end := time.Now().Add(time.Minute); ; {
		now, err := CPU(busy.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		ticks = ticks && now%(10*time.Millisecond) == 0
		if now-before > 50*time.Millisecond {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%v in a minute of work", now-before)
		}
	}
	if ticks {
		t.Error("only whole ticks were seen")
	}
	_ = busy.Process.Kill()
	_ = busy.Wait()
	if used, err := CPU(busy.Process.Pid); err == nil {
		t.Errorf("%v of a process that has ended", used)
	}
}
