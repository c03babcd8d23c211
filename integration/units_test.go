package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"headgate/integration/rig"
)

// mostExposure is what systemd-analyze security may say of a unit, on its scale
// of 0 (nothing to lose) to 10 (unconfined root).
const mostExposure = 1.5

// TestUnits installs the units below a prefix of their own, as make install does,
// and has systemd judge them.
func TestUnits(t *testing.T) {
	analyze := rig.Tool(t, "systemd-analyze", "systemd")
	for _, daemon := range []string{"hostd", "guestd"} {
		t.Run(daemon, func(t *testing.T) {
			unit := installUnit(t, daemon)
			if out, err := exec.Command(analyze, "verify", unit).CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("systemd-analyze verify: %v\n%s", err, out)
			}
			level, report := exposure(t, analyze, unit)
			t.Logf("%s.service: exposure %.1f", daemon, level)
			if level > mostExposure {
				t.Errorf("exposure %.1f, at most %.1f is wanted:\n%s", level, mostExposure, report)
			}
		})
	}
}

func TestSysusers(t *testing.T) {
	sysusers := rig.Tool(t, "systemd-sysusers", "systemd")
	text, err := os.Open(example("hostd.sysusers"))
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	cmd := exec.Command(sysusers, "--dry-run", "--root="+t.TempDir(), "-")
	cmd.Stdin = text
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "headgate") {
		t.Errorf("systemd-sysusers: %v\n%s", err, out)
	}
}

func example(name string) string { return filepath.Join("..", "examples", "systemd", name) }

// installUnit returns the path of the daemon's unit, made for a prefix in which
// something executable stands for the daemon.
func installUnit(t *testing.T, daemon string) string {
	t.Helper()
	prefix := t.TempDir()
	text, err := os.ReadFile(example(daemon + ".service"))
	if err != nil {
		t.Fatal(err)
	}
	sbin := filepath.Join(prefix, "sbin")
	if err := os.Mkdir(sbin, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(sbin, daemon), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(prefix, daemon+".service")
	if err := os.WriteFile(unit, []byte(strings.ReplaceAll(string(text), "/usr/local/", prefix+"/")), 0o644); err != nil {
		t.Fatal(err)
	}
	return unit
}

var overall = regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+) `)

func exposure(t *testing.T, analyze, unit string) (level float64, report string) {
	t.Helper()
	cmd := exec.Command(analyze, "security", "--offline=yes", "--no-pager", unit)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "SYSTEMD_EMOJI=0")
	out, err := cmd.CombinedOutput()
	found := overall.FindSubmatch(out)
	if err != nil || found == nil {
		t.Fatalf("systemd-analyze security: %v\n%s", err, out)
	}
	level, err = strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return level, string(out)
}
