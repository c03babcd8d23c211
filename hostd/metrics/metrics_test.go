package metrics

import (
	"errors"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"headgate/backends"
	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/hostd/guard"
	"headgate/hostd/meter"
	"headgate/wire/feed"
)

var snapshot = control.Status{
	Version:   "v1.2.3",
	Reservoir: control.ReservoirStatus{Level: 1024, Capacity: 65536, ConditionedBytes: 4096, OriginsUp: 1, MinSources: 2},
	Sources: []control.SourceStatus{
		{Name: "trng0", State: backends.Up, Credited: true, RawBytes: 4608, EntropyBits: 36864, Startups: 1, Failures: map[string]uint64{"rct": 0, "apt": 0, "mcv": 0}},
		{Name: "stick", State: backends.Failed, RawBytes: 512, Failures: map[string]uint64{"rct": 2, "apt": 1, "mcv": 0}},
	},
	Guests: []control.GuestStatus{
		{
			Name: "web1", Quality: "full", Bytes: 640, BytesFull: 640, Requests: 10, Seeded: true, FirstBytes: 0.002,
			ThrottledRate: 1.5, ThrottledSupply: 0.25,
			SeededSeconds: 0.064, Reseeds: map[string]uint64{feed.ReasonStart: 1, feed.ReasonPush: 3, feed.ReasonHealth: 2, feed.ReasonOther: 1},
			Pipes: []control.PipeStatus{{Connected: true, Refused: 1}, {Refused: 2, Errors: 3, Dropped: 4}},
		},
		{Name: "web2", Quality: "full", Domain: &control.DomainStatus{Problems: []control.Problem{{Kind: control.DomainPolicy, Text: "a rate"}, {Kind: control.DomainMiswired, Text: "a device"}}}},
		{Name: "web3", Quality: "full-then-drbg", Bytes: 4224, BytesFull: 128, BytesDRBG: 4096, DRBG: &control.DRBGStatus{Seeds: 7}},
		{Name: "web4", Quality: "drbg", Bytes: 512, BytesDRBG: 512, DRBG: &control.DRBGStatus{Seeds: 1, Stale: true}},
	},
	SeedsGiven: 3,
	Host:       control.HostStatus{Feed: true, Bytes: 192, CreditedBits: 1536, FedAt: time.Unix(1, 0)},
	Libvirt:    control.LibvirtStatus{Follow: true, Connected: true, Domains: 1, HookCalls: 9, ProblemCount: 3},
	Xen:        control.XenStatus{Follow: true, Dom0: true, Connected: true, Domains: 5, ProblemCount: 2},
	Guard: control.GuardStatus{Mode: "on", Up: true, Refused: guard.Refused{Inet: 3, Inet6: 1, By: []guard.Refusal{
		{Family: "inet", Process: "hostd", PID: 42, Count: 2}, {Family: "inet", Process: "hostd", PID: 43, Count: 1}, {Family: "inet6", Process: "\xffcurl", PID: 44, Count: 1}}}},
}

type byWay = map[meter.Way]uint64

func readers() (control.RNG, error) {
	return control.RNG{Meter: meter.Reading{
		Ways: []meter.WayCount{{Way: meter.HWRNG, Why: "rng_core is not loaded"}, {Way: meter.Random, How: "fentry"},
			{Way: meter.Urandom, How: "fentry", Bytes: 1 << 20, Calls: 260, Missed: 1}, {Way: meter.Getrandom, How: "kprobe", Bytes: 48, Calls: 3}},
		Users: []meter.User{
			{PID: 1, Process: "dd", Cgroup: "/user.slice", Bytes: byWay{meter.Urandom: 1000000}, Calls: byWay{meter.Urandom: 250}},
			{PID: 2, Process: "dd", Cgroup: "/user.slice", Gone: true, Bytes: byWay{meter.Urandom: 48500, meter.Getrandom: 16}, Calls: byWay{meter.Urandom: 5, meter.Getrandom: 1}},
			{PID: 3, Process: "qemu-system-x86", Cgroup: `/machine.slice/machine-qemu\x2d1\x2dweb9.scope`, QEMU: true, Domain: "web9", Bytes: byWay{meter.Urandom: 64}, Calls: byWay{meter.Urandom: 4}},
			{PID: 5, Process: "qemu-system-x86", QEMU: true, Domain: "web9", Bytes: byWay{meter.HWRNG: 640}, Calls: byWay{meter.HWRNG: 10}},
			{PID: 7, Process: "qemu-system-x86", QEMU: true, Domain: "web9", Bytes: byWay{meter.HWRNG: 64}, Calls: byWay{meter.HWRNG: 1}},
			{PID: 6, Process: "kvm", QEMU: true, Bytes: byWay{meter.Random: 1}, Calls: byWay{meter.Random: 1}},
			{PID: 4, Process: "\xfe\n", Bytes: byWay{}, Calls: byWay{meter.Getrandom: 1}},
		},
		Other: meter.Other{Bytes: byWay{meter.Urandom: 12, meter.Getrandom: 32}, Calls: byWay{meter.Urandom: 1, meter.Getrandom: 1}},
	}}, nil
}

// The whole exposition, so that a name that tools rely on cannot change unseen.
func TestExposition(t *testing.T) {
	want, err := os.ReadFile("testdata/exposition.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := prometheus.NewRegistry()
	all.MustRegister(collector{func() control.Status { return snapshot }}, drinkers{readers})
	if err := testutil.GatherAndCompare(all, strings.NewReader(string(want))); err != nil {
		t.Fatal(err)
	}
}

// Where nothing guards or counts by the administrator's wish nothing is to be warned
// about; a meter that failed is no failed scrape.
func TestNoGuardAndNoMeterToWarnAbout(t *testing.T) {
	for _, mode := range []string{"", config.GuardOff} {
		c := collector{func() control.Status { return control.Status{Guard: control.GuardStatus{Mode: mode}} }}
		if n := testutil.CollectAndCount(c, "headgate_guard_up"); n != 0 {
			t.Errorf("guard %q: %d values", mode, n)
		}
	}
	c := collector{func() control.Status { return control.Status{Guard: control.GuardStatus{Mode: config.GuardOn}} }}
	if n := testutil.CollectAndCount(c, "headgate_guard_up"); n != 1 {
		t.Errorf("a guard that is not up: %d values", n)
	}
	failed := drinkers{func() (control.RNG, error) { return control.RNG{}, errors.New("no BTF") }}
	if n := testutil.CollectAndCount(failed); n != 0 {
		t.Errorf("a meter that failed: %d values", n)
	}
}

// Who has been another quality's has what it had then.
func TestBytesOfAnEarlierQuality(t *testing.T) {
	c := collector{func() control.Status {
		return control.Status{Guests: []control.GuestStatus{{Name: "was-full", Quality: "drbg", BytesFull: 64, DRBG: &control.DRBGStatus{}},
			{Name: "was-drbg", Quality: "full", BytesDRBG: 64, DRBG: &control.DRBGStatus{Seeds: 1}}}}
	}}
	if n := testutil.CollectAndCount(c, "headgate_guest_bytes_total"); n != 4 {
		t.Errorf("%d values, want 4", n)
	}
}

// Who does not follow libvirt has no connection to be warned about, nor has a host
// without Xen.
func TestNoConnectionToWarnAbout(t *testing.T) {
	c := collector{func() control.Status { return control.Status{Xen: control.XenStatus{Follow: true}} }}
	if n := testutil.CollectAndCount(c, "headgate_libvirt_connected", "headgate_xen_connected"); n != 0 {
		t.Errorf("%d values", n)
	}
}

func TestHandlerAddsTheWaits(t *testing.T) {
	waits := NewWaits()
	waits.Observe(3 * time.Millisecond)
	w := httptest.NewRecorder()
	Handler(func() control.Status { return snapshot }, readers, waits).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`headgate_guest_wait_seconds_bucket{le="0.004"} 1`,
		`headgate_guest_wait_seconds_bucket{le="0.002"} 0`,
		`headgate_guest_connected{guest="web1"} 1`,
		`headgate_rng_seen{way="urandom"} 1`,
		"process_resident_memory_bytes",
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %s in the exposition", want)
		}
	}
}
