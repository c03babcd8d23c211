package command

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestCapture(t *testing.T) {
	r := newRig(t)
	r.fake.Snapshot = busyStatus()
	path := filepath.Join(t.TempDir(), "raw.bin")
	code, out, errs := r.run(t, "source", "capture", "trng0", "-n", "64KiB", "-o", path)
	info, err := os.Stat(path)
	if code != 0 || out != path+": 64KiB of source trng0\n" || errs != "" {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	if err != nil || info.Size() != 64<<10 || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	code, _, errs = r.run(t, "source", "capture", "trng0", "-n", "1KiB", "-o", path)
	if code != 1 || !strings.Contains(errs, "exists: choose another file, or overwrite it with --force") {
		t.Errorf("over a file: exit %d: %s", code, errs)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	code, _, errs = r.run(t, "source", "capture", "trng0", "-n", "1KiB", "-o", path, "--force")
	info, _ = os.Stat(path)
	if code != 0 || info.Size() != 1<<10 || info.Mode().Perm() != 0o600 {
		t.Errorf("over a file by force: exit %d: %s %v", code, errs, info)
	}
}

func TestCaptureThatFailsLeavesNoFile(t *testing.T) {
	r := newRig(t)
	r.fake.Snapshot = busyStatus()
	path := filepath.Join(t.TempDir(), "raw.bin")
	if code, _, errs := r.run(t, "source", "capture", "dice", "-o", path); code != 1 || errs != "hostd: capture of source dice: source not found\n" {
		t.Errorf("exit %d: %s", code, errs)
	}
	r.fake.Stall = true
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if code := r.Main(ctx, []string{"source", "capture", "trng0", "-o", path}); code != 1 {
		t.Errorf("a capture that was broken off: exit %d", code)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file was left behind")
	}
}

func TestCaptureRestarts(t *testing.T) {
	r := newRig(t)
	r.fake.Snapshot = busyStatus()
	path := filepath.Join(t.TempDir(), "restart.bin")
	code, out, errs := r.run(t, "source", "capture", "trng0", "--restarts", "1000", "-o", path)
	if code != 0 || out != path+": 1000 restarts of source trng0, 1000 samples each\n" || errs != "" {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	// NIST's ea_restart takes a file of 1,000,000 bytes, row after row.
	matrix, err := os.ReadFile(path)
	if err != nil || len(matrix) != 1_000_000 || matrix[7000] != 7 || matrix[7001] != 0 {
		t.Errorf("the file: %d bytes, %v", len(matrix), err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	path += "2"
	if code, _, errs := r.run(t, "source", "capture", "trng0", "--restarts", "3", "-n", "10", "-o", path); code != 0 {
		t.Errorf("exit %d: %s", code, errs)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != 30 {
		t.Errorf("%v, %v", info, err)
	}
	r.fake.Stall = true
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	path += "3"
	if code := r.Main(ctx, []string{"source", "capture", "trng0", "--restarts", "1000", "-o", path}); code != 1 {
		t.Errorf("one that was broken off: exit %d", code)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file was left behind")
	}
	for args, say := range map[string]string{
		"--restarts 0 -o x":               "--restarts 0 is out of bounds; allowed: 1 to 10000",
		"--restarts -3 -o x":              "--restarts -3 is out of bounds",
		"--restarts 10001 -o x":           "allowed: 1 to 10000",
		"--restarts 2 -n 2MiB -o x":       "-n 2097152 is out of bounds; allowed for 2 restarts: 1 to 1048576",
		"--restarts 10000 -n 107375 -o x": "allowed for 10000 restarts: 1 to 107374",
		"--restarts 1000":                 "-o FILE is missing",
	} {
		if code, _, errs := r.run(t, append([]string{"source", "capture", "trng0"}, strings.Fields(args)...)...); code != 2 || !strings.Contains(errs, say) {
			t.Errorf("%s: exit %d: %s", args, code, errs)
		}
	}
}

func TestProgressOfRestarts(t *testing.T) {
	var out bytes.Buffer
	at := now
	p := &progress{w: &out, look: lookOf(&out), total: 4000, row: 1000, now: func() time.Time { return at }, started: now}
	at = at.Add(time.Second)
	_, _ = p.Write(make([]byte, 2500))
	if want := "\r\x1b[K███████████████████░░░░░░░░░░░  62%  2 of 4 restarts  2.4 KiB/s  600 ms left"; out.String() != want {
		t.Errorf("%q", out.String())
	}
}

func TestProgress(t *testing.T) {
	var out bytes.Buffer
	at := now
	p := &progress{w: &out, look: lookOf(&out), total: 4096, now: func() time.Time { return at }, started: now}
	for range 4 {
		at = at.Add(time.Second)
		_, _ = p.Write(make([]byte, 1024))
	}
	p.end()
	lines := strings.Split(out.String(), "\r\x1b[K")
	if len(lines) != 5 || lines[1] != "████████░░░░░░░░░░░░░░░░░░░░░░  25%  1.0 KiB of 4.0 KiB  1.0 KiB/s  3s left" ||
		lines[4] != strings.Repeat("█", 30)+" 100%  4.0 KiB of 4.0 KiB  1.0 KiB/s  0 ms left\n" {
		t.Errorf("%q", lines)
	}
}
