package command

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"headgate/hostd/control"
	"headgate/hostd/meter"
)

type byWay = map[meter.Way]uint64

// vdso is a note as the meter has it.
const vdso = "getrandom that the vDSO answers is not seen (Linux 6.11 and later; this kernel, 6.1.0, has none)"

// reading is of a meter that has seen steps of everybody's reads.
func reading(step uint64) meter.Reading {
	users := []meter.User{
		{PID: 900, Process: "dd", Cgroup: "/user.slice/user-0.slice/session-1.scope", Bytes: byWay{meter.Urandom: step << 20}, Calls: byWay{meter.Urandom: step * 256}},
		{PID: 1234, Process: "qemu-system-x86", Cgroup: `/machine.slice/machine-qemu\x2d1\x2dweb1.scope`, QEMU: true, Domain: "web1", Vouched: true,
			Bytes: byWay{meter.HWRNG: 64 + step*64, meter.Getrandom: 9}, Calls: byWay{meter.HWRNG: 1 + step, meter.Getrandom: 2}},
		{PID: 77, Process: "e\x1b[2Jvil", Cgroup: "/", QEMU: true, Domain: "o\x1bdd", Bytes: byWay{meter.Random: 0}, Calls: byWay{meter.Random: step * 1000}},
		{PID: 5, Process: "sshd", Cgroup: "/ssh", Bytes: byWay{meter.Getrandom: 4096}, Calls: byWay{meter.Getrandom: 100}},
	}
	return meter.Reading{Since: now.Add(-time.Hour), Users: users, Notes: []string{vdso},
		Ways: []meter.WayCount{{Way: meter.HWRNG, How: "kprobe", Function: "rng_dev_read", Bytes: 64 + step*64, Calls: 1 + step},
			{Way: meter.Random, Why: "no such function"},
			{Way: meter.Urandom, How: "fentry", Function: "urandom_read_iter", Bytes: step << 20, Calls: step * 256, Missed: 3},
			{Way: meter.Getrandom, How: "fentry", Function: "__x64_sys_getrandom", Bytes: 4105 + step*32, Calls: 102 + step}},
		Other: meter.Other{Bytes: byWay{meter.Getrandom: step * 32}, Calls: byWay{meter.Getrandom: step}}}
}

func at(seconds float64, r meter.Reading) sight {
	return sight{now.Add(time.Duration(seconds * float64(time.Second))), control.RNG{Meter: r}}
}

// countingOn has the fake's meter count with each look.
func countingOn(r *rig) {
	var step uint64
	r.fake.Readers = func() (control.RNG, error) {
		step++
		return control.RNG{Meter: reading(step)}, nil
	}
}

func TestTallyTable(t *testing.T) {
	r := newRig(t)
	if err := r.printTally(tallied(at(0, reading(1)), at(2, reading(2)))); err != nil {
		t.Fatal(err)
	}
	golden(t, "rng_top", r.out.String())
	r.out.Reset()
	if err := r.printTally(tallied(at(0, reading(2)), at(2, reading(2)))); err != nil {
		t.Fatal(err)
	}
	golden(t, "rng_top_quiet", r.out.String())
}

func TestTopOncePrintsRates(t *testing.T) {
	r := newRig(t)
	countingOn(r)
	code, out, errs := r.run(t, "rng", "top", "--for", "10ms")
	if code != 0 || errs != "" || !strings.Contains(out, "urandom_read_iter") || !strings.Contains(out, "web1") || !strings.Contains(out, "note: "+vdso) || strings.Contains(out, "\x1b") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	code, out, errs = r.run(t, "rng", "top", "--json", "--for", "10ms")
	var got tally
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 || errs != "" {
		t.Fatalf("exit %d: %v: %s%s", code, err, out, errs)
	}
	i := slices.IndexFunc(got.Users, func(r reader) bool { return r.Process == "dd" })
	if i < 0 || got.Users[i].BytesRate < 1<<20 || got.Users[i].Bytes != 4<<20 || got.Seconds < 0.01 || len(got.Ways) != 4 || got.Notes[0] != vdso {
		t.Errorf("%+v", got)
	}
}

func TestTopSaysWhyNothingIsSeen(t *testing.T) {
	r := newRig(t)
	for _, tc := range []struct {
		err  error
		want string
	}{
		{nil, "hostd: who reads the kernel's randomness is not seen: the meter is off\n"},
		{errors.New("no BTF: boot a kernel with CONFIG_DEBUG_INFO_BTF"), "hostd: who reads the kernel's randomness is not seen: no BTF: boot a kernel with CONFIG_DEBUG_INFO_BTF\n"},
		{control.ErrNotFound, "hostd: hostd at " + os.Getenv("HEADGATE_CONTROL") + " is older than this command and has no meter: restart it\n"},
	} {
		if tc.err != nil {
			r.fake.Readers = func() (control.RNG, error) { return control.RNG{}, tc.err }
		}
		if code, out, errs := r.run(t, "rng", "top", "--once"); code != 1 || out != "" || errs != tc.want {
			t.Errorf("exit %d: %s%s", code, out, errs)
		}
	}
	for _, apart := range []string{"0s", "-1s", "2h"} {
		if code, _, errs := r.run(t, "rng", "top", "--for", apart); code != 2 || !strings.Contains(errs, "allowed: more than 0 to 1h0m0s") {
			t.Errorf("--for %s: exit %d: %s", apart, code, errs)
		}
	}
}

// What one that ended read before is no rate; what it read since is.
func TestOneThatEndsBetweenTwoLooks(t *testing.T) {
	live := meter.User{PID: 9, Process: "dd", Cgroup: "/x", Bytes: byWay{meter.Urandom: 1000}, Calls: byWay{meter.Urandom: 10}}
	gone := meter.User{PID: 8, Process: "dd", Cgroup: "/x", Gone: true, Bytes: byWay{meter.Urandom: 500}, Calls: byWay{meter.Urandom: 5}}
	later := meter.User{PID: 9, Process: "dd", Cgroup: "/x", Gone: true, Bytes: byWay{meter.Urandom: 1700}, Calls: byWay{meter.Urandom: 17}}
	other := meter.User{PID: 10, Process: "dd", Cgroup: "/y", Bytes: byWay{meter.Urandom: 7}, Calls: byWay{meter.Urandom: 1}}
	got := tallied(at(0, meter.Reading{Users: []meter.User{live, gone}}), at(2, meter.Reading{Users: []meter.User{later, other}}))
	if len(got.Users) != 2 || got.Users[0].BytesRate != 100 || got.Users[0].CallsRate != 1 || got.Users[0].Bytes != 1700 || got.Users[1].BytesRate != 3.5 {
		t.Errorf("%+v", got.Users)
	}
}

// What one that ended read before is no rate of those without a name either, and two that
// ended, of which libvirt vouched for one, are two.
func TestOneThatLosesItsName(t *testing.T) {
	user := func(process string, bytes uint64) meter.User {
		return meter.User{PID: 9, Process: process, Gone: true, Bytes: byWay{meter.Urandom: bytes}, Calls: byWay{meter.Urandom: 1}}
	}
	vouched := user("kvm", 10)
	vouched.QEMU, vouched.Vouched = true, true
	before := meter.Reading{Users: []meter.User{user("dd", 1000), user("kvm", 50), vouched}}
	after := meter.Reading{Users: []meter.User{user("kvm", 70), vouched},
		Other: meter.Other{Bytes: byWay{meter.Urandom: 1400}, Calls: byWay{meter.Urandom: 2}}}
	got := tallied(at(0, before), at(2, after))
	if len(got.Other) != 1 || got.Other[0].BytesRate != 200 || got.Other[0].CallsRate != 0.5 || got.Users[0].BytesRate != 10 || got.Users[1].BytesRate != 0 {
		t.Errorf("%+v", got)
	}
}

// A hostd that was started anew counts from nothing.
func TestAnotherDaemonBetweenTwoLooks(t *testing.T) {
	after := reading(1)
	after.Since = now
	got := tallied(at(0, reading(5)), at(1, after))
	if got.Users[0].Process != "dd" || got.Users[0].BytesRate != 1<<20 {
		t.Errorf("%+v", got.Users[0])
	}
	// A counter that fell for another reason is not a rate of 2^64.
	got = tallied(at(0, reading(5)), at(1, reading(1)))
	if i := slices.IndexFunc(got.Users, func(r reader) bool { return r.BytesRate != 0 || r.CallsRate != 0 }); i >= 0 {
		t.Errorf("%+v", got.Users[i])
	}
}

func TestOrders(t *testing.T) {
	got := tallied(at(0, reading(1)), at(1, reading(2)))
	for by, want := range map[order]string{
		byBytes:   "dd qemu-system-x86 qemu-system-x86 e\x1b[2Jvil sshd",
		byCalls:   "e\x1b[2Jvil dd qemu-system-x86 qemu-system-x86 sshd",
		byProcess: "dd e\x1b[2Jvil qemu-system-x86 qemu-system-x86 sshd",
	} {
		got.sort(by)
		var names []string
		for _, r := range got.Users {
			names = append(names, r.Process)
		}
		if strings.Join(names, " ") != want {
			t.Errorf("%s: %q", by, names)
		}
	}
	ways := map[meter.Way]bool{}
	for _, w := range got.Ways {
		ways[w.Way] = true
	}
	if !slices.Equal(slices.Sorted(maps.Keys(ways)), []meter.Way{meter.Getrandom, meter.HWRNG, meter.Random, meter.Urandom}) {
		t.Errorf("%v", ways)
	}
}

func TestEnding(t *testing.T) {
	for _, tc := range []struct {
		path string
		most int
		want string
	}{{"/abc", 0, "/abc"}, {"/abc", 4, "/abc"}, {"/abc", 3, "…bc"}, {"/aüö", 3, "…üö"}} {
		if got := ending(tc.path, tc.most); got != tc.want {
			t.Errorf("%q of at most %d: %q", tc.path, tc.most, got)
		}
	}
}
