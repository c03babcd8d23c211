package command

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"headgate/hostd/early"
	"headgate/integration/need"
)

// tooEarly is a report with one of everything.
func tooEarly() early.Report {
	at := func(f float64) early.Seconds { return early.Seconds(f * float64(time.Second)) }
	return early.Report{
		Kernel: "6.1.0-18-amd64", How: "fentry", From: at(1.92), Until: at(4.33), Ready: true, ReadyAt: at(4.31),
		Askers: []early.Asker{
			{Process: "keygen", PID: 90, Way: early.Getrandom, Calls: 1, Asked: 24, At: at(1.92), Waited: at(2.39), AtLeast: true},
			{Process: "busy", PID: 91, Way: early.Urandom, Calls: 1, At: at(1.92), Waited: at(2.39), AtLeast: true, Uncounted: true},
			{Process: "systemd", PID: 1, Way: early.Getrandom, Flags: "insecure", Calls: 9, Asked: 120, Given: 120, Early: 104, At: at(1.95), Waited: at(0.00085)},
			{Process: "a\x1b[2J", PID: 194, Way: early.Getrandom, Flags: "nonblock", Calls: 2, Asked: 40, Refused: 2, At: at(2.1)},
			{Process: "systemd-random-", PID: 195, Way: early.Getrandom, Calls: 1, Asked: 32, Given: 32, At: at(3.04), Waited: at(1.27)},
			{Process: "dd", PID: 200, Way: early.Random, Calls: 1, Asked: 2048, At: at(4), Waited: at(0.33), Unended: true},
			{Process: "gone", PID: 201, Way: early.Getrandom, Calls: 1, Asked: 1, At: at(4.01), Waited: at(0.1)},
		},
		Logged:  []early.Logged{{Process: "mkfs\x1b", Bytes: 16, At: at(0.91)}},
		Lost:    1,
		Notes:   []string{"/dev/random is not seen: this kernel has no such function\n"},
		Verdict: "too early: 6 processes asked for 217 bytes before the generator was ready at 4.31 s; the longest waited at least 2.39 s; 104 bytes were given before it was",
	}
}

func TestPrintEarly(t *testing.T) {
	var out bytes.Buffer
	printEarly(&out, tooEarly())
	golden(t, "trace_early", out.String())

	never := tooEarly()
	never.Ready, never.ReadyAt, never.Askers = false, 0, never.Askers[:1]
	out.Reset()
	printEarly(&out, never)
	if !strings.Contains(out.String(), "waits still\n") {
		t.Error(out.String())
	}
}

// The machine that runs the test has long been ready: whatever its kernel lets us see,
// that can be told.
func TestTraceEarly(t *testing.T) {
	if f, err := os.Open("/dev/random"); err != nil {
		need.Unmet(t, err)
	} else {
		f.Close()
	}
	r := newRig(t)
	file := filepath.Join(t.TempDir(), "new", "report.json")
	code, out, errs := r.run(t, "trace", "early", "-o", file)
	if code != 0 || errs != "" || !strings.Contains(out, "before this trace began at ") || !strings.Contains(out, "\nSeen from ") {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var report early.Report
	if err := json.Unmarshal(text, &report); err != nil || !report.ReadyBefore || report.From == 0 || !strings.Contains(out, report.Verdict) {
		t.Errorf("%v: %s", err, text)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", info, err)
	}
	if left, err := os.ReadDir(filepath.Dir(file)); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
	code, out, _ = r.run(t, "trace", "early", "--json")
	if err := json.Unmarshal([]byte(out), &report); code != 0 || err != nil {
		t.Errorf("exit %d, %v: %s", code, err, out)
	}
	for _, args := range [][]string{{"trace"}, {"trace", "late"}, {"trace", "early", "now"}, {"trace", "early", "--for", "0s"}} {
		if code, _, errs := r.run(t, args...); code != 2 || errs == "" {
			t.Errorf("%q: exit %d, %s", args, code, errs)
		}
	}
	if code, _, errs := r.run(t, "trace", "early", "-o", "/dev/null/report.json"); code != 1 || !strings.Contains(errs, "/dev/null") {
		t.Errorf("exit %d, %s", code, errs)
	}
}
