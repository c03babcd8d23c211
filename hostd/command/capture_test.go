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
