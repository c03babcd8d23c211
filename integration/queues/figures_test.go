//go:build linux

package main

import (
	"strings"
	"testing"
	"time"
)

// turn is a sample of one second.
func turn(bytes float64, server, qemu time.Duration) sample {
	return sample{bytes: bytes, took: time.Second, server: server, qemu: qemu}
}

// The machine is half as fast in the second round, and a third device disturbs the last
// round of the second: neither is in the ratio.
func TestRatiosAreOfOneRound(t *testing.T) {
	f := figures{samples: map[string][]sample{
		ours:    {turn(200, 0, 0), turn(100, 0, 0), turn(10, 0, 0), turn(220, 0, 0), turn(180, 0, 0)},
		builtin: {turn(100, 0, 0), turn(50, 0, 0), turn(100, 0, 0), turn(100, 0, 0), turn(100, 0, 0)},
	}}
	low, median, high := f.ratio(ours, builtin)
	if low != 1.8 || median != 2 || high != 2 {
		t.Errorf("%v, %v to %v; want 2, 1.8 to 2", median, low, high)
	}
}

func TestCostIsOfAllRounds(t *testing.T) {
	f := figures{samples: map[string][]sample{
		pipe: {turn(1e6, time.Second, 4*time.Second), turn(3e6, 5*time.Second, 2*time.Second)},
	}}
	if c := f.cost(pipe, server); c != 1.5 {
		t.Errorf("%v s/MB of the server, want 1.5", c)
	}
	if c := f.cost(pipe, qemu); c != 1.5 {
		t.Errorf("%v s/MB of QEMU, want 1.5", c)
	}
}

// What was not measured is not compared with.
func TestReport(t *testing.T) {
	f := figures{names: []string{ours, builtin, trivial, pipe}, samples: map[string][]sample{
		ours:    {turn(400e3, 100*time.Millisecond, time.Second)},
		builtin: {turn(500e3, 0, time.Second)},
		trivial: {turn(250e3, 200*time.Millisecond, time.Second)},
		pipe:    {turn(250e3, 200*time.Millisecond, time.Second)},
	}}
	const want = `
/dev/hwrng of one guest with all the devices, 1 rounds of 1s each, in turns
                                   kB/s   of rng-builtin   CPU s/MB of the server, of QEMU
  vhost-user, hostd                 400             0.80     0.25    2.50
  rng-builtin                       500             1.00        –    2.00
  rng-egd, trivial server           250             0.50     0.80    4.00
  rng-egd, hostd (qemu: pipe)       250             0.50     0.80    4.00
  medians of the ratios within a round (quartiles); the machine is emulated, on KVM they are others
  vhost-user, hostd / rng-egd, trivial server                      1.60, 1.60 to 1.60 (at least 1.3)
  vhost-user, hostd / rng-builtin                                  0.80, 0.80 to 0.80 (at least 0.8)
  rng-egd, hostd (qemu: pipe) / rng-egd, trivial server            1.00, 1.00 to 1.00 (at least 0.95)
`
	if got := f.report(time.Second); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	f.names = append(f.names, theirs)
	f.samples[theirs] = []sample{turn(320e3, 160*time.Millisecond, time.Second)}
	for _, line := range []string{
		"  vhost-user, hostd / vhost-user, vhost-device-rng                 1.25, 1.25 to 1.25 (at least 1.1)\n",
		"  CPU of hostd's vhost-user for that of vhost-device-rng            0.50 (at most 1)\n",
	} {
		if got := f.report(time.Second); !strings.Contains(got, line) {
			t.Errorf("got\n%s\nwithout\n%s", got, line)
		}
	}
}
