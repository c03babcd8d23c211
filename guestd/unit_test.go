//go:build linux

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"headgate/guestd/reseeded"
	"headgate/guestd/status"
)

// Under its unit guestd can write to the unit's RuntimeDirectory (which systemd
// makes below /run), to its ReadWritePaths, and nowhere else. What it writes by
// default has to be in there, and the unit must not put it elsewhere.
func TestUnitLetsItsFilesBeWritten(t *testing.T) {
	unit, err := os.ReadFile(filepath.Join("..", "examples", "guest", "guestd.service"))
	if err != nil {
		t.Fatal(err)
	}
	var made, writable []string
	for line := range strings.Lines(string(unit)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch {
		case key == "RuntimeDirectory":
			for dir := range strings.FieldsSeq(value) {
				made = append(made, "/run/"+dir)
			}
		case key == "ReadWritePaths":
			writable = append(writable, strings.Fields(value)...)
		case strings.HasPrefix(key, "Exec") && strings.Contains(value, "--status"):
			t.Errorf("%s: `guestd status` would not find the record", line)
		}
	}
	if dir := filepath.Dir(status.Path); !slices.Contains(made, dir) {
		t.Errorf("the record %s is in no RuntimeDirectory: %q", status.Path, made)
	}
	dir := filepath.Dir(reseeded.Path)
	if !slices.Contains(writable, dir) {
		t.Errorf("%s is in none of the ReadWritePaths: %q", reseeded.Path, writable)
	}
	// With ProtectSystem=strict a unit whose ReadWritePaths are not there fails.
	if !slices.ContainsFunc(made, func(m string) bool { return strings.HasPrefix(m, dir+"/") }) {
		t.Errorf("%s is made by no RuntimeDirectory in it: %q", dir, made)
	}
}

// A service with systemd's default dependencies comes after all sockets, paths and timers
// and the targets of early boot: to come before one of them, too, would be a circle, which
// systemd breaks by leaving something out of the boot.
func TestUnitsComeInNoCircle(t *testing.T) {
	units, err := filepath.Glob(filepath.Join("..", "examples", "guest", "*.service"))
	if err != nil || len(units) == 0 {
		t.Fatal(units, err)
	}
	for _, path := range units {
		unit, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(unit), "\nDefaultDependencies=no\n") {
			continue
		}
		for line := range strings.Lines(string(unit)) {
			before, found := strings.CutPrefix(strings.TrimSpace(line), "Before=")
			for name := range strings.FieldsSeq(before) {
				if kind := filepath.Ext(name); found && (kind == ".socket" || kind == ".path" || kind == ".timer" ||
					slices.Contains([]string{"sysinit.target", "sockets.target", "basic.target"}, name)) {
					t.Errorf("%s: comes after %s by default, and is to come before it", filepath.Base(path), name)
				}
			}
		}
	}
}
