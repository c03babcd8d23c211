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

// units are all that there are, in folders below examples.
var units = []string{
	"systemd/hostd.service",
	"guest/guestd.service", "guest/headgate-reseed.path", "guest/headgate-reseed.service",
	"guest/headgate-reseed-again.service", "guest/ssh-host-keys.service",
	"guest/trace-early/headgate-trace-early.service",
}

// exposures are the most that systemd-analyze security may say of a daemon's unit, on
// its scale of 0 (nothing to lose) to 10 (unconfined root). hostd's has to attach the
// guard and the meter, and to let a try at the network reach the guard: 0.6 of it.
// guestd's has to see the kernel's log and the guest's links, and to be root before there
// are users.
var exposures = map[string]float64{"hostd.service": 1.8, "guestd.service": 2.5}

// TestUnits installs the units below a prefix of their own, as make install does, and
// has systemd judge them.
func TestUnits(t *testing.T) {
	analyze := rig.Tool(t, "systemd-analyze", "systemd")
	dir := t.TempDir()
	paths := make([]string, len(units))
	for i, unit := range units {
		paths[i] = placeUnit(t, dir, unit)
	}
	for i, unit := range units {
		t.Run(filepath.Base(unit), func(t *testing.T) {
			if out, err := exec.Command(analyze, "verify", paths[i]).CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("systemd-analyze verify: %v\n%s", err, out)
			}
			most, daemon := exposures[filepath.Base(unit)]
			if !daemon {
				return
			}
			level, report := exposure(t, analyze, paths[i])
			t.Logf("exposure %.1f", level)
			if level > most {
				t.Errorf("exposure %.1f, at most %.1f is wanted:\n%s", level, most, report)
			}
		})
	}
}

// TestHostFeed puts the drop-in beside hostd's unit: systemd takes it, it gives hostd
// one right more, and takes none of the unit's walls away.
func TestHostFeed(t *testing.T) {
	analyze := rig.Tool(t, "systemd-analyze", "systemd")
	dir := t.TempDir()
	unit := placeUnit(t, dir, "systemd/hostd.service")
	without, report := exposure(t, analyze, unit)
	if strings.Contains(capabilities(report), "✗") {
		t.Errorf("without it hostd may administer the system:\n%s", report)
	}
	text, err := os.ReadFile(example("systemd/hostd-feed.conf"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(unit+".d", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(unit+".d", "feed.conf"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", unit).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	with, report := exposure(t, analyze, unit)
	t.Logf("exposure %.1f without, %.1f with", without, with)
	if !strings.Contains(capabilities(report), "✗") || with > without+0.5 {
		t.Errorf("exposure %.1f without, %.1f with:\n%s", without, with, report)
	}
}

// capabilities is the line of a report on CAP_SYS_ADMIN, and its kin.
func capabilities(report string) string {
	for line := range strings.Lines(report) {
		if strings.Contains(line, "CAP_SYS_ADMIN") {
			return line
		}
	}
	return ""
}

func TestSysusers(t *testing.T) {
	sysusers := rig.Tool(t, "systemd-sysusers", "systemd")
	text, err := os.Open(example("systemd/hostd.sysusers"))
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

func example(name string) string { return filepath.Join("..", "examples", name) }

// program is what a unit runs of what is installed.
var program = regexp.MustCompile(`/usr/local/([a-z]+/\S+)`)

// placeUnit returns the path of a unit, made for the prefix dir, in which something
// executable stands for what it runs.
func placeUnit(t *testing.T, dir, unit string) string {
	t.Helper()
	text, err := os.ReadFile(example(unit))
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range program.FindAllSubmatch(text, -1) {
		path := filepath.Join(dir, string(found[1]))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, filepath.Base(unit))
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), "/usr/local/", dir+"/")), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
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
