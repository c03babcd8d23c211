//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"headgate/guestd/status"
)

// Under its unit guestd can write to the unit's RuntimeDirectory (which systemd
// makes below /run) and nowhere else: the record that `guestd status` reads by
// default has to be in there, and the unit must not put it elsewhere.
func TestUnitLetsTheStatusBeWritten(t *testing.T) {
	unit, err := os.ReadFile(filepath.Join("..", "examples", "systemd", "guestd.service"))
	if err != nil {
		t.Fatal(err)
	}
	dir := ""
	for line := range strings.Lines(string(unit)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch {
		case key == "RuntimeDirectory":
			dir = "/run/" + value
		case strings.HasPrefix(key, "Exec") && strings.Contains(value, "--status"):
			t.Errorf("%s: `guestd status` would not find the record", line)
		}
	}
	if dir == "" || filepath.Dir(status.Path) != dir {
		t.Errorf("the record %s is not in the unit's RuntimeDirectory %q", status.Path, dir)
	}
}
