package command

import (
	"strings"
	"testing"

	"headgate/hostd/control"
	"headgate/hostd/guard"
	"headgate/hostd/meter"
)

// What is well takes a line each; what is not says what it means.
func TestStatusOfGuardAndMeter(t *testing.T) {
	r := newRig(t)
	for _, tc := range []struct {
		guard control.GuardStatus
		meter control.MeterStatus
		want  string
	}{
		{control.GuardStatus{}, control.MeterStatus{}, ""},
		{control.GuardStatus{Mode: "require", Up: true, Confined: true, Cgroup: "/x"},
			control.MeterStatus{Mode: "on", Up: true, Ways: []meter.WayCount{{Way: meter.HWRNG, How: "kprobe"}, {Way: meter.Random, How: "fentry"}}},
			"\nGUARD  up: every socket of the network is refused and counted · cgroup /x\nMETER  up: sees random by fentry; hwrng by kprobe\n"},
		{control.GuardStatus{Mode: "on", Up: true}, control.MeterStatus{Mode: "kprobe", Error: "no CAP_BPF:\x1b[2J give it to the unit"},
			"\nGUARD  up for inet alone: seccomp does not refuse the other families\nMETER  not up: no CAP_BPF:?[2J give it to the unit\n"},
		{control.GuardStatus{Mode: "on", Confined: true}, control.MeterStatus{Mode: "off"},
			"\nGUARD  not up: seccomp refuses sockets of the network, and nobody counts who tries\nMETER  off: who reads the host's devices past hostd is not seen\n"},
		{control.GuardStatus{Mode: "on"}, control.MeterStatus{}, "\nGUARD  not up: nothing but its unit keeps hostd from the network\n"},
		{control.GuardStatus{Mode: "off"}, control.MeterStatus{}, "\nGUARD  off: nothing but its unit keeps hostd from the network\n"},
	} {
		r.fake.Snapshot.Guard, r.fake.Snapshot.Meter = tc.guard, tc.meter
		code, out, errs := r.run(t, "status")
		got := ""
		if i := strings.Index(out, "\nGUARD"); i >= 0 {
			got = out[i:]
		}
		if code != 0 || errs != "" || got != tc.want {
			t.Errorf("exit %d: %s, got\n%s\nwant\n%s", code, errs, got, tc.want)
		}
	}
}

func TestUnmeteredAreBounded(t *testing.T) {
	var b strings.Builder
	meterLine(&b, lookOf(&b), control.MeterStatus{Mode: "on", Up: true, Unmetered: make([]control.Unmetered, 100)})
	if got := b.String(); strings.Count(got, "not metered") != maxUnmetered || !strings.HasSuffix(got, "       84 more: hostd status --json has all\n") {
		t.Error(got)
	}
}

func TestTriesAreBounded(t *testing.T) {
	by := make([]guard.Refusal, 256)
	for i := range by {
		by[i] = guard.Refusal{Family: "inet", Process: "p", PID: i + 1, Count: 1}
	}
	if got := tries(by); got != "p (pid 1) inet 1 time, p (pid 2) inet 1 time, p (pid 3) inet 1 time, p (pid 4) inet 1 time, 252 more" {
		t.Error(got)
	}
}
