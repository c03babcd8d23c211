//go:build linux

package debian

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"headgate/hostd/early"
	"headgate/integration/rig"
	"headgate/integration/rig/job"
)

const (
	traceUnit = "headgate-trace-early.service"
	traced    = " systemd.wants=" + traceUnit // a parameter of the kernel's
	traceFile = "/run/headgate/trace-early.json"

	// traceMark is what a trace writes into the kernel's log when it sees.
	traceMark = "headgate: trace early looks from here on"
)

// tracedEarly is the report of the unit, which has seen nothing but what the kernel's log
// and systemd agree with.
func (s system) tracedEarly() early.Report {
	s.t.Helper()
	r := parseReport(s.t, s.run("cat", traceFile))
	s.t.Logf("%s: %s said:\n%s", s.Name, traceUnit, s.run("journalctl", "-b", "-q", "-u", traceUnit, "-o", "cat", "--no-pager"))
	marks, err := s.KernelLog(s.ctx, traceMark)
	if err != nil || len(marks) != 1 {
		s.t.Fatalf("%s: the trace's line in the kernel's log: %v, %v", s.Name, marks, err)
	}
	if off := time.Duration(r.From) - marks[0].At; off.Abs() > time.Millisecond {
		s.t.Errorf("%s: the report is from %s on, the line in the kernel's log from %s on", s.Name, r.From, marks[0].At)
	}
	// The kernel's log and systemd have clocks that begin some milliseconds apart.
	started, up := s.unit(traceUnit, "InactiveExit"), s.unit(traceUnit, "ActiveEnter")
	s.t.Logf("%s: %s held those after it for %.2f s", s.Name, traceUnit, (up - started).Seconds())
	if from := time.Duration(r.From); from < started-time.Second || from > up+time.Second {
		s.t.Errorf("%s: the report is from %s on, the unit was started from %s to %s", s.Name, r.From, started, up)
	}
	if ready := s.ready(); !r.Ready || time.Duration(r.ReadyAt) != ready {
		s.t.Errorf("%s: ready %t at %s by the report, at %s by the kernel's log", s.Name, r.Ready, r.ReadyAt, ready)
	}
	if r.Lost != 0 || len(r.Notes) != 0 {
		s.t.Errorf("%s: %d calls are lost; %q", s.Name, r.Lost, r.Notes)
	}
	return r
}

// nobodyTooEarly fails the test unless the generator was ready before the trace began.
func (s system) nobodyTooEarly() {
	s.t.Helper()
	if r := s.tracedEarly(); !r.ReadyBefore || len(r.Askers) != 0 || !strings.Contains(r.Verdict, "before this trace began") {
		s.t.Errorf("%s: %+v", s.Name, r)
	}
}

// someTooEarly fails the test unless systemd is seen to ask before the generator was
// ready: it does for what it starts, and takes what it gets (random_bytes in its
// src/basic/random-util.c).
func (s system) someTooEarly() {
	s.t.Helper()
	r := s.tracedEarly()
	found := false
	for _, a := range r.Askers {
		if a.PID == 1 && a.Process == "systemd" && a.Flags == "insecure" && a.Asked > 0 && a.Early > 0 && a.Waited > 0 {
			found = true
		}
		if a.At >= r.ReadyAt || a.Process == "hostd" {
			s.t.Errorf("%s: %+v", s.Name, a)
		}
	}
	if r.ReadyBefore || !found || !strings.HasPrefix(r.Verdict, "too early: ") {
		s.t.Errorf("%s: %+v", s.Name, r)
	}
}

// TestTraceEarly has a reader that waits, in a small guest in which nobody asks before it.
func TestTraceEarly(t *testing.T) {
	rig.Need(t)
	dir := rig.Dir(t)
	ctx := rig.Within(t, 5*time.Minute)
	hostd, tests := filepath.Join(dir, "hostd"), filepath.Join(dir, "early.test")
	if err := rig.Build(ctx, "hostd", hostd); err != nil {
		t.Fatal(err)
	}
	compile := exec.CommandContext(ctx, "go", "test", "-c", "-trimpath", "-ldflags", "-s -w", "-o", tests, "headgate/hostd/early")
	compile.Env = append(os.Environ(), "CGO_ENABLED=0")
	run(t, compile)
	image, err := rig.NewImage(ctx, dir, map[string]string{"hostd": hostd, "early.test": tests})
	if err != nil {
		t.Fatal(err)
	}
	g := rig.BootGuest(t, rig.Config{Name: "early", Dir: dir, Image: image})

	type ended struct {
		job.Exit
		error
	}
	trace := make(chan ended, 1)
	go func() {
		e, err := g.Run(ctx, time.Minute, "/bin/hostd", "trace", "early", "--json", "--for", "50s")
		trace <- ended{e, err}
	}()
	if _, err := g.AwaitLog(ctx, traceMark, 30*time.Second); err != nil {
		t.Fatal(err)
	}
	reader, err := g.Run(ctx, time.Minute, "/bin/early.test", "-wait", "48")
	if err != nil || reader.Code != 0 {
		t.Fatalf("exit %d, %v\n%s", reader.Code, err, reader.Stderr)
	}
	e := <-trace
	if e.error != nil || e.Code != 0 {
		t.Fatalf("hostd trace early: exit %d, %v\n%s%s", e.Code, e.error, e.Stdout, e.Stderr)
	}
	r := parseReport(t, e.Stdout)
	t.Logf("%s\nfrom %s on, by %s: %+v", r.Verdict, r.From, r.How, r.Askers)
	records, err := g.KernelLog(ctx, job.CRNGReady)
	if err != nil || len(records) != 1 {
		t.Fatal(records, err)
	}
	if !r.Ready || r.ReadyBefore || time.Duration(r.ReadyAt) != records[0].At || len(r.Notes) != 0 || r.Lost != 0 {
		t.Errorf("%+v, and by the kernel's log it was ready at %s", r, records[0].At)
	}
	if len(r.Askers) != 1 {
		t.Fatalf("%+v", r.Askers)
	}
	a := r.Askers[0]
	if a.Process != "early.test" || a.Way != early.Random || a.Calls != 1 || a.Asked != 48 || a.Given != 48 || a.Early != 0 || a.Unended || a.AtLeast || a.Uncounted {
		t.Errorf("%+v", a)
	}
	// It waits until then, and not much longer.
	if served := a.At + a.Waited; a.At < r.From || served < r.ReadyAt || served > r.ReadyAt+early.Seconds(time.Second) {
		t.Errorf("%+v, and it was ready at %s", a, r.ReadyAt)
	}

	// The package's own test of each way, where a kernel lets it see.
	all, err := g.Run(ctx, time.Minute, "/bin/early.test", "-test.v", "-test.run", "^TestTrace$", "-must")
	t.Logf("%s%s", all.Stdout, all.Stderr)
	if err != nil || all.Code != 0 {
		t.Errorf("exit %d, %v", all.Code, err)
	}
}

func parseReport(t *testing.T, text string) (r early.Report) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return r
}
