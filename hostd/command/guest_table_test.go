package command

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"headgate/hostd/config"
	"headgate/hostd/control"
)

// What only a DRBG has is shown beside the others, and says why a guest waits.
func TestStatusOfDRBGs(t *testing.T) {
	r := newRig(t)
	r.fake.Snapshot.Guests = []control.GuestStatus{
		{Name: "build", Class: "bulk", Quality: "full-then-drbg", Rate: 1024, Burst: 4096, Weight: 1, Origin: "config", DRBGRate: 1 << 20,
			Pipes: []control.PipeStatus{{Kind: "qemu", Path: "/run/headgate/guests/build.sock", Connected: true}},
			Bytes: 5 << 20, BytesFull: 1 << 20, BytesDRBG: 4 << 20, Requests: 81920, Seeded: true, FirstBytes: 0.002,
			DRBG: &control.DRBGStatus{SeededAt: now.Add(-time.Minute), Seeds: 5, SeedBytes: 240}},
		{Name: "db1", Class: "default", Quality: "full", Rate: 1024, Burst: 4096, Weight: 1, Origin: "config",
			Pipes: []control.PipeStatus{{Kind: "egd", Path: "/run/headgate/guests/db1.sock", Connected: true}},
			Bytes: 640, BytesFull: 640, Requests: 10, Seeded: true, FirstBytes: 0.001},
		{Name: "old", Class: "fast", Quality: "drbg", Rate: config.Unlimited, Burst: 4096, Weight: 1, Origin: "api",
			Pipes: []control.PipeStatus{{Kind: "qemu", Path: "/run/headgate/guests/old.sock", Connected: true}},
			Bytes: 1 << 20, BytesDRBG: 1 << 20, Requests: 16384, Waiting: true, Seeded: true, FirstBytes: 0.001, ThrottledSupply: 61,
			DRBG: &control.DRBGStatus{SeededAt: now.Add(-61 * time.Minute), Seeds: 3, SeedBytes: 144, Stale: true}},
	}
	r.fake.Snapshot.Host = control.HostStatus{Feed: true, Class: "default", Quality: "full", Bytes: 192, CreditedBits: 1536, FedAt: now.Add(-12 * time.Second)}
	code, out, _ := r.run(t, "status")
	if code != 0 {
		t.Fatalf("exit code %d", code)
	}
	golden(t, "status_drbg", out)
}

func TestHostLine(t *testing.T) {
	for name, tc := range map[string]struct {
		host control.HostStatus
		want string
	}{
		"not to be fed": {control.HostStatus{}, ""},
		"at the start":  {control.HostStatus{Feed: true, Class: "c", Quality: "full"}, "its kernel: waits for its first bytes · class c"},
		"may not":       {control.HostStatus{Feed: true, FedAt: now, Error: "it takes CAP_SYS_ADMIN"}, "its kernel: not fed · "},
		"short":         {control.HostStatus{Feed: true, FedAt: now.Add(-time.Hour), Waiting: true}, "waits for bytes, fed 1h 00m ago"},
		"stale":         {control.HostStatus{Feed: true, FedAt: now, DRBG: &control.DRBGStatus{Stale: true}}, "waits: max_stale is over"},
	} {
		var b bytes.Buffer
		if hostLine(&b, lookOf(&b), tc.host, now); !strings.Contains(b.String(), tc.want) || tc.want == "" && b.Len() > 0 {
			t.Errorf("%s: %q", name, b.String())
		}
	}
}

// Where hostd connects, an error says who is not there; where it listens, what is broken.
func TestWhatAnErrorOfAPipeMeans(t *testing.T) {
	for want, pipe := range map[string]control.PipeStatus{
		"away":   {Kind: "vhost-user", Path: "/x/sock", Error: "no such file"},
		"broken": {Kind: "vhost-user", Path: "/x/sock", Server: true, Error: "permission denied"},
	} {
		var b strings.Builder
		guestTable(&b, look{}, []control.GuestStatus{{Name: "web1", Pipes: []control.PipeStatus{pipe}}}, time.Now())
		if out := b.String(); !strings.Contains(out, " "+want+" ") || !strings.Contains(out, "web1: "+pipe.Pipe().String()+": "+pipe.Error) {
			t.Errorf("want %s:\n%s", want, out)
		}
	}
}
