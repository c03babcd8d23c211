package doctor

import (
	"strings"
	"testing"

	"headgate/hostd/control"
	"headgate/hostd/guard"
	"headgate/hostd/meter"
	"headgate/kvm/libvirt"
)

// reads has hostd's meter see that the QEMU of a domain reads these.
func reads(f *Facts, domain string, vouched bool, ways ...meter.Way) {
	f.Hostd.Status.Meter.Unmetered = append(f.Hostd.Status.Meter.Unmetered,
		control.Unmetered{Domain: domain, Vouched: vouched, PID: 1234 + len(f.Hostd.Status.Meter.Unmetered), Ways: ways, Bytes: 12345})
}

func random(path string) []libvirt.RNG { return []libvirt.RNG{{Backend: "random", Path: path}} }

func TestUnmetered(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Facts)
		level  Level
		want   []string // in the one finding that is not ok
	}{
		{"as its XML says", func(f *Facts) { f.Domains[0].RNGs = random("/dev/hwrng"); reads(f, "web1", true, meter.HWRNG) }, Fault,
			[]string{"domain web1: its rng reads /dev/hwrng of the host itself, and what it takes the others do not have: 12345 bytes so far, not metered; hostd libvirt attach web1 --replace"}},
		{"by the old name", func(f *Facts) { f.Domains[0].RNGs = random("/dev/hw_random"); reads(f, "web1", false, meter.HWRNG) }, Fault,
			[]string{"12345 bytes so far"}},
		{"of the pool", func(f *Facts) { f.Domains[0].RNGs = random("/dev/urandom"); reads(f, "web1", true, meter.Urandom) }, Note,
			[]string{"has its bytes from /dev/urandom, not from Headgate: 12345 bytes so far, not metered; hostd libvirt attach web1 --replace"}},
		{"nothing yet", func(f *Facts) { f.Domains[0].RNGs = random("/dev/urandom") }, Note, []string{"not from Headgate; "}},
		{"past its XML", func(f *Facts) { reads(f, "web1", true, meter.HWRNG) }, Fault,
			[]string{"domain web1: its QEMU reads /dev/hwrng of the host itself, which is in no rng of its XML: 12345 bytes so far, not metered; virsh edit web1 "}},
		{"past its XML, of the pool", func(f *Facts) { reads(f, "web1", false, meter.Random, meter.Urandom) }, Note,
			[]string{"domain web1: a QEMU that calls itself web1 (pid 1234) reads /dev/random and /dev/urandom of the host itself"}},
		{"of another", func(f *Facts) { reads(f, "it's\x1b", false, meter.Urandom) }, Note,
			[]string{"guest : a QEMU that calls itself it's\x1b (pid 1234) reads /dev/urandom of the host itself: 12345 bytes so far, not metered; hostd guest add NAME --pipe qemu:/run/headgate/guests/NAME.sock "}},
		{"of another, of the hardware", func(f *Facts) { reads(f, "", false, meter.HWRNG) }, Fault, []string{"a QEMU without a name (pid 1234) reads /dev/hwrng"}},
		{"of one that only says so", func(f *Facts) { // libvirt's own is the one that it vouches for
			f.Domains[0].RNGs = random("/dev/urandom")
			reads(f, "web1", true, meter.Urandom)
			f.Hostd.Status.Meter.Unmetered[0].Bytes = 7
		}, Note, []string{": 7 bytes so far"}},
		{"no guard", func(f *Facts) {
			f.Hostd.Status.Guard = control.GuardStatus{Mode: "on", Confined: true, Error: "no cgroup v2: mount it"}
		}, Note,
			[]string{"hostd : its network guard is not up, or not whole: no cgroup v2: mount it; mend that, then: systemctl restart hostd"}},
		{"half a guard", func(f *Facts) {
			f.Hostd.Status.Guard = control.GuardStatus{Mode: "on", Up: true, Error: "no seccomp: x"}
		}, Note, []string{"not whole: no seccomp"}},
		{"guard off", func(f *Facts) { f.Hostd.Status.Guard.Mode = "off"; f.Hostd.Status.Config = "/etc/x" }, Note,
			[]string{"its network guard is off", `set guard = "on" in /etc/x, then: systemctl restart hostd`}},
		{"tries", func(f *Facts) {
			f.Hostd.Status.Guard = control.GuardStatus{Mode: "on", Up: true, Confined: true, Refused: guard.Refused{Inet6: 2}}
		}, Note,
			[]string{"it was refused sockets of the network: 0 inet, 2 inet6; hostd events | grep guard_refused"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := well()
			tc.change(&f)
			tellsOne(t, Examine(f), tc.level, tc.want...)
		})
	}
}

// One that only calls itself like a domain is not told as that one, where libvirt
// vouches for another.
func TestTwoOfOneName(t *testing.T) {
	f := well()
	reads(&f, "web1", false, meter.Urandom)
	reads(&f, "web1", true, meter.Random)
	got := said(Examine(f))
	if strings.Count(got, "\n") != 2 || !strings.Contains(got, "domain web1: its QEMU reads /dev/random ") ||
		!strings.Contains(got, "guest : a QEMU that calls itself web1 (pid 1234) reads /dev/urandom ") {
		t.Error(got)
	}
}

func TestGuardIsUp(t *testing.T) {
	f := well()
	f.Hostd.Status.Guard = control.GuardStatus{Mode: "require", Up: true, Confined: true}
	found := Examine(f)
	if s := said(found); s != "" || len(found) != 8 {
		t.Errorf("%d findings, %s", len(found), s)
	}
	f.Domains[0].Active = false // what one that does not run has, another has
	f.Domains[0].Next = nil
	reads(&f, "web1", false, meter.Urandom)
	tellsOne(t, Examine(f), Note, "guest : a QEMU that calls itself web1")
}
