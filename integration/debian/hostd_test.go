//go:build linux

package debian

import (
	"encoding/json"
	"strings"
	"time"

	"headgate/hostd/control"
)

const unit = "hostd.service"

// nosy is a source of hostd's that tries to reach the network, from inside the unit.
const nosy = `
[[source]]
name = "nosy"
type = "exec"
command = ["/usr/bin/perl", "-MSocket", "-e", "socket(S, PF_INET, SOCK_STREAM, 0) or socket(S, PF_INET6, SOCK_DGRAM, 0) or socket(S, PF_PACKET, SOCK_RAW, 0) or exit; die 'through'"]
`

// hosts starts hostd as its unit, with the configuration that is installed: its guard and
// its meter are up inside all that the unit keeps from it, nothing of the right to put
// programs in the kernel is left to it, and nothing of them is left in the kernel when it
// is gone.
func (s system) hosts() {
	s.t.Helper()
	before := s.hooks()
	s.run("sh", "-c", "printf '%s' \"$1\" >>/etc/headgate/hostd.toml", "sh", nosy)
	s.run("systemctl", "start", unit)
	s.guarded()
	first := s.run("systemctl", "show", "--value", "-p", "MainPID", unit)
	s.run("systemctl", "kill", "-s", "KILL", unit)
	s.await("hostd started again", 20*time.Second, func(text string) bool {
		lines := strings.Fields(text)
		return len(lines) == 2 && lines[0] != first && lines[1] == "active"
	}, "systemctl", "show", "--value", "-p", "MainPID", "-p", "ActiveState", unit)
	s.guarded()
	s.run("systemctl", "stop", unit)
	if after := s.hooks(); after != before {
		s.t.Errorf("%s: attached to the kernel's functions before hostd:\n%s\nand after it:\n%s", s.Name, before, after)
	}
	said := s.journal(unit)
	s.t.Logf("%s said:\n%s", unit, said)
	if strings.Contains(said, "random devices is not seen") {
		s.t.Errorf("%s: the meter was down, or is said to be when hostd stops", s.Name)
	}
	if !strings.Contains(said, "perl (pid ") || strings.Contains(said, "through at -e") {
		s.t.Errorf("%s: the source reached the network, or it is not in the journal that it tried", s.Name)
	}
	s.healthy()
}

// guarded fails the test unless hostd is as its unit and its configuration want it.
func (s system) guarded() {
	s.t.Helper()
	var status control.Status
	s.await("the meter up, and the network refused to a source, and counted", 30*time.Second, func(text string) bool {
		status = control.Status{}
		if err := json.Unmarshal([]byte(text), &status); err != nil {
			s.t.Fatal(err)
		}
		refused := status.Guard.Refused
		return status.Meter.Up && refused.Inet > 0 && refused.Inet6 > 0
	}, "hostd", "status", "--json")
	if g := status.Guard; !g.Up || !g.Confined || g.Error != "" || g.Cgroup != "/system.slice/"+unit {
		s.t.Errorf("%s: the guard is %+v", s.Name, g)
	}
	s.t.Logf("%s: the guard is %+v", s.Name, status.Guard)
	for _, way := range status.Meter.Ways {
		s.t.Logf("%s: the meter is %+v", s.Name, way)
		if way.How == "" {
			s.t.Errorf("%s: %s is not seen: %s", s.Name, way.Way, way.Why)
		}
	}
	if hooks := s.hooks(); !strings.Contains(hooks, "urandom_read_iter") {
		s.t.Errorf("%s: the meter is not attached to urandom_read_iter, but the kernel says of its functions:\n%s", s.Name, hooks)
	}
	pid := s.run("systemctl", "show", "--value", "-p", "MainPID", unit)
	if user := s.run("stat", "-c", "%U", "/proc/"+pid); user != "headgate" {
		s.t.Errorf("%s: hostd is %s", s.Name, user)
	}
	// CAP_CHOWN is 1 (capabilities(7)); the thread that has started a source's program
	// passes none on.
	s.await("no thread of hostd's has more than CAP_CHOWN", 5*time.Second, func(text string) bool {
		for line := range strings.Lines(text) {
			if _, set, _ := strings.Cut(strings.TrimSpace(line), "\t"); strings.Trim(set, "0") != "" && strings.TrimLeft(set, "0") != "1" {
				return false
			}
		}
		return text != ""
	}, "sh", "-c", "grep -hE '^Cap(Inh|Prm|Eff|Amb)' /proc/"+pid+"/task/*/status | sort -u")
}

// hooks are the kernel's functions that programs are attached to.
func (s system) hooks() string {
	s.t.Helper()
	return s.run("sh", "-c", "mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing; cat /sys/kernel/tracing/enabled_functions")
}
