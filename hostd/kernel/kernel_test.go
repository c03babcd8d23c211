package kernel

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestEffective(t *testing.T) {
	c := Capabilities{{Effective: 1<<unix.CAP_CHOWN | 1<<31}, {Effective: 1, Permitted: 1 << 1}}
	for capability, want := range map[uint]bool{unix.CAP_CHOWN: true, 1: false, 31: true, 32: true, 33: false, 63: false} {
		if got := c.Effective(capability); got != want {
			t.Errorf("%d: %v", capability, got)
		}
	}
}

// The kernel says it in two ways.
func TestHeld(t *testing.T) {
	c, err := Held()
	if err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		t.Fatal(err)
	}
	if line := fmt.Sprintf("\nCapEff:\t%08x%08x\n", c[1].Effective, c[0].Effective); !strings.Contains(string(status), line) {
		t.Errorf("held are %+v, which is not what this says:\n%s", c, status)
	}
}

func TestRelease(t *testing.T) {
	want, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	if got := Release(); got != strings.TrimSpace(string(want)) {
		t.Errorf("%q, want %q", got, want)
	}
}
