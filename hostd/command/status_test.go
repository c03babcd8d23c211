package command

import (
	"time"

	"headgate/backends"
	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/hostd/guard"
	"headgate/hostd/meter"
)

// busyStatus has one of everything that status can show.
func busyStatus() control.Status {
	return control.Status{
		Version: "1.2.3", PID: 4242, Started: now.Add(-3*time.Hour - 12*time.Minute), Config: "/etc/headgate/hostd.toml",
		Warnings: []string{"source trng1 is missing: it is tried again"},
		Sources: []control.SourceStatus{
			{Name: "trng0", Kind: "hwrng", Path: "/dev/hwrng", Driver: "tpm-rng-0", Origin: "tpm-rng-0", Noise: backends.Physical, Credited: true,
				State: backends.Up, MinEntropy: 2, Assumed: true, LastError: &backends.LastError{Text: "health test rct failed", Time: now.Add(-4 * time.Hour)},
				Since: now.Add(-3 * time.Hour), RawBytes: 12 << 20, EntropyBits: 3 << 23, Failures: map[string]uint64{"rct": 1, "apt": 2}},
			{Name: "trng1", Kind: "file", Path: "/dev/ttyACM0", Noise: backends.Unknown, Credited: true, State: backends.Missing, MinEntropy: 6.5,
				Since: now.Add(-90 * time.Second), Error: "open /dev/ttyACM0: no such file\x1b[2J",
				LastError: &backends.LastError{Text: "open /dev/ttyACM0: no such file\x1b[2J", Time: now.Add(-90 * time.Second)}},
			{Name: "tpm", Kind: "tpm", Path: "/dev/tpmrm0", Origin: "tpm-rng-0", Noise: backends.Generated, State: backends.Up, MinEntropy: 2, Assumed: true,
				Since: now.Add(-3 * time.Hour), RawBytes: 1 << 20},
			{Name: "jitter", Kind: "jitter", Noise: backends.NonPhysical, Credited: true, State: backends.Starting, Since: now.Add(-time.Second),
				Detail: "1.2 bits a delta"},
		},
		Reservoir: control.ReservoirStatus{Level: 57344, Capacity: 65536, BootReserve: 8192, MinSources: 2, ConditionedBytes: 1300 << 20,
			OriginsUp: 1, Origins: []control.OriginStatus{{Name: "tpm-rng-0", Up: true, Sources: []string{"trng0"}}},
			Waiting: "1 of 2 origins up: trng1 missing, tpm counts nothing, jitter starting"},
		Classes: config.Default().Classes,
		Guests: []control.GuestStatus{
			{Name: "db1", Class: "default", Quality: "full", Rate: 1024, Burst: 4096, Weight: 1, Origin: "config",
				Pipes: []control.PipeStatus{{Kind: "egd", Path: "/run/headgate/guests/db1.sock", Error: "permission denied"}}},
			{Name: "greedy", Class: "gold", Quality: "full", Rate: config.Unlimited, Burst: 20000, Weight: 4, Origin: "api", Transient: true,
				Pipes: []control.PipeStatus{{Kind: "qemu", Path: "/run/headgate/guests/greedy.sock", Connected: true, Connections: 1},
					{Kind: "port", Path: "/run/headgate/guests/greedy.port"}},
				Bytes: 123456789, BytesFull: 123456789, Requests: 1929012, Waiting: true, ThrottledRate: 0, ThrottledSupply: 5400, FirstBytes: 0.0042, Seeded: true,
				LastReport: &control.Report{Received: now.Add(-12 * time.Second), Version: "v1.2.3", BootID: "01234567-89ab-4cde-8f01-23456789abcd",
					Rebooted: now.Add(-3 * time.Minute), SeededAt: now.Add(-13 * time.Second), CreditedBits: 1536, Reason: "push"},
				SeededSeconds: 0.035, Reseeds: map[string]uint64{"start": 2, "push": 1}},
			{Name: "web1", Class: "default", Quality: "full", Rate: 2048, Burst: 8192, Weight: 2, Origin: "api",
				Pipes: []control.PipeStatus{{Kind: "qemu", Path: "/run/headgate/guests/web1.sock", Connected: true}},
				Bytes: 64, BytesFull: 64, Requests: 1, Seeded: true, FirstBytes: 0.25, ThrottledRate: 12.5,
				LastReport: &control.Report{Received: now.Add(-2 * time.Minute), Version: "v1\x1b[2J", BootID: "fedcba98-89ab-4cde-8f01-23456789abcd", Reason: "health"},
				Reseeds:    map[string]uint64{"health": 1}},
			{Name: "web2", Class: "default", Quality: "full", Rate: 2048, Burst: 8192, Weight: 2, Origin: "api",
				Pipes: []control.PipeStatus{{Kind: "qemu", Path: "/run/headgate/guests/web2.sock"}}},
		},
		Guard: control.GuardStatus{Mode: "on", Up: true, Confined: true, Cgroup: "/system.slice/hostd.service", Refused: guard.Refused{Inet: 3, Inet6: 1, By: []guard.Refusal{
			{Family: "inet", Process: "hostd", PID: 4242, Count: 2}, {Family: "inet", Process: "cu\x1b[2Jrl", PID: 77, Count: 1}, {Family: "inet6", Process: guard.Others, Count: 1}}}},
		Meter: control.MeterStatus{Mode: "on", Up: true,
			Ways: []meter.WayCount{{Way: meter.HWRNG, Why: "rng_core is not loaded: modprobe rng_core, then restart hostd"}, {Way: meter.Random, How: "fentry"}, {Way: meter.Urandom, How: "fentry"}, {Way: meter.Getrandom, How: "kprobe"}},
			Unmetered: []control.Unmetered{{Domain: "web3", Vouched: true, PID: 1234, Ways: []meter.Way{meter.HWRNG, meter.Urandom}, Bytes: 12 << 10},
				{Domain: "o\x1b[2Jdd", PID: 1235, Ways: []meter.Way{meter.Random}, Bytes: 64}, {PID: 1236, Ways: []meter.Way{meter.Urandom}, Bytes: 65}}},
	}
}
