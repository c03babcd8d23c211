//go:build linux

package debian

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"headgate/integration/rig"
	"headgate/integration/rig/job"
)

const (
	bootLimit  = 6 * time.Minute // of a guest's whole life
	settleTime = 3 * time.Minute // from the rig's service to the end of the boot
)

// system is a Debian that has booted.
type system struct {
	*rig.Guest
	t   *testing.T
	ctx context.Context
}

// besides is what of a boot takes long under emulation and has to do with nothing here:
// the file systems of LVM that a crash left.
const besides = " systemd.mask=e2scrub_reap.service"

// boot boots a Debian to the end, and fails if a unit of it has.
func boot(t *testing.T, c rig.Config, d rig.Disk) system {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), bootLimit)
	c.MemoryMiB, c.Limit = 512, bootLimit
	d.Parameters += besides
	g, err := rig.BootDisk(ctx, c, d)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	s := system{g, t, ctx}
	t.Cleanup(func() {
		if t.Failed() {
			if e, err := g.Run(ctx, 10*time.Second, "journalctl", "-b", "-o", "short-monotonic", "-n", "60", "--no-pager"); err == nil {
				t.Logf("the end of the journal of %s:\n%s", c.Name, e.Stdout)
			}
		}
		cancel()
		g.Close()
	})
	if e, err := g.Run(ctx, settleTime, "systemctl", "is-system-running", "--wait"); err != nil || e.Code != 0 {
		t.Errorf("%s: the system is %q, exit %d, %v", c.Name, strings.TrimSpace(e.Stdout), e.Code, err)
	}
	s.healthy()
	return s
}

// healthy fails the test if a unit has failed, or guestd's at first.
func (s system) healthy() {
	s.t.Helper()
	if n := s.run("systemctl", "show", "--value", "-p", "NRestarts", "guestd.service"); n != "0" {
		s.t.Errorf("%s: guestd.service was started again, %s times", s.Name, n)
	}
	if failed := s.run("systemctl", "--failed", "--no-legend", "--plain"); failed != "" {
		s.t.Errorf("%s: failed units:\n%s", s.Name, failed)
	}
}

// run runs a program, which must succeed, and returns what it wrote.
func (s system) run(args ...string) string {
	s.t.Helper()
	e, err := s.Run(s.ctx, 30*time.Second, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	if e.Code != 0 {
		s.t.Fatalf("%s: %q: exit %d\n%s%s", s.Name, args, e.Code, e.Stdout, e.Stderr)
	}
	return strings.TrimSpace(e.Stdout)
}

// ready is when the kernel's generator was, by its own clock.
func (s system) ready() time.Duration {
	s.t.Helper()
	records, err := s.KernelLog(s.ctx, job.CRNGReady)
	if err != nil {
		s.t.Fatal(err)
	}
	if len(records) == 0 {
		s.t.Fatalf("%s: the kernel's generator is not ready", s.Name)
	}
	return records[0].At
}

// unit is a time in the life of a unit, as `systemctl show` calls it.
func (s system) unit(name, property string) time.Duration {
	s.t.Helper()
	micros, err := strconv.ParseInt(s.run("systemctl", "show", "--value", "-p", property+"TimestampMonotonic", name), 10, 64)
	if err != nil || micros == 0 {
		s.t.Fatalf("%s: %s of %s: %d, %v", s.Name, property, name, micros, err)
	}
	return time.Duration(micros) * time.Microsecond
}

// booted is the time from the kernel's start to the end of the boot.
func (s system) booted() time.Duration {
	s.t.Helper()
	micros, err := strconv.ParseInt(s.run("systemctl", "show", "--value", "-p", "FinishTimestampMonotonic"), 10, 64)
	if err != nil || micros == 0 {
		s.t.Fatalf("%s: the boot is not finished: %d, %v", s.Name, micros, err)
	}
	return time.Duration(micros) * time.Microsecond
}

// journal is what a unit said in this boot.
func (s system) journal(unit string) string {
	s.t.Helper()
	return s.run("journalctl", "-b", "-u", unit, "-o", "short-monotonic", "--no-pager")
}

// await runs a program until it writes what is wanted.
func (s system) await(what string, patience time.Duration, is func(string) bool, args ...string) string {
	s.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		e, err := s.Run(s.ctx, 30*time.Second, args...)
		if err != nil {
			s.t.Fatal(err)
		}
		if e.Code == 0 && is(e.Stdout) {
			return strings.TrimSpace(e.Stdout)
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: not seen within %s: %s; %q writes, exit %d:\n%s%s", s.Name, patience, what, args, e.Code, e.Stdout, e.Stderr)
		}
		time.Sleep(200 * time.Millisecond)
	}
}
