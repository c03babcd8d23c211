//go:build linux

package guard

import (
	"fmt"
	"maps"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"headgate/hostd/events"
	"headgate/integration/rig"
)

// inet are tries that go to the guard: each is refused by it and counted.
var inet = []struct {
	try
	family string
}{
	{try{Do: "socket", Domain: unix.AF_INET, Type: unix.SOCK_STREAM}, "inet"},
	{try{Do: "socket", Domain: unix.AF_INET, Type: unix.SOCK_DGRAM}, "inet"},
	{try{Do: "socket", Domain: unix.AF_INET, Type: unix.SOCK_RAW, Protocol: unix.IPPROTO_ICMP}, "inet"},
	{try{Do: "socket", Domain: unix.AF_INET, Type: unix.SOCK_STREAM | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK}, "inet"},
	{try{Do: "socket", Domain: unix.AF_INET6, Type: unix.SOCK_STREAM}, "inet6"},
	{try{Do: "socket", Domain: unix.AF_INET6, Type: unix.SOCK_DGRAM}, "inet6"},
	{try{Do: "socket", Domain: unix.AF_INET6, Type: unix.SOCK_RAW, Protocol: unix.IPPROTO_ICMPV6}, "inet6"},
	{try{Do: "dial", Network: "tcp4", Address: "127.0.0.1:9"}, "inet"},
	{try{Do: "dial", Network: "udp4", Address: "127.0.0.1:9"}, "inet"},
	{try{Do: "dial", Network: "tcp6", Address: "[::1]:9"}, "inet6"},
	{try{Do: "dial", Network: "udp6", Address: "[::1]:9"}, "inet6"},
	// From other threads than those of before.
	{try{Do: "socket", Domain: unix.AF_INET, Type: unix.SOCK_STREAM, Times: 5, Threads: 4}, "inet"},
}

// others are tries that never come to the guard: seccomp refuses them.
var others = []struct {
	try
	with syscall.Errno
}{
	{try{Do: "socket", Domain: unix.AF_NETLINK, Type: unix.SOCK_RAW}, syscall.EAFNOSUPPORT},
	{try{Do: "socket", Domain: unix.AF_PACKET, Type: unix.SOCK_RAW}, syscall.EAFNOSUPPORT},
	{try{Do: "socket", Domain: unix.AF_VSOCK, Type: unix.SOCK_STREAM}, syscall.EAFNOSUPPORT},
	{try{Do: "socket", Domain: unix.AF_TIPC, Type: unix.SOCK_SEQPACKET}, syscall.EAFNOSUPPORT},
	{try{Do: "socket", Domain: unix.AF_XDP, Type: unix.SOCK_RAW}, syscall.EAFNOSUPPORT},
	{try{Do: "socket", Domain: unix.AF_ALG, Type: unix.SOCK_SEQPACKET}, syscall.EAFNOSUPPORT},
	{try{Do: "ring"}, syscall.EPERM}, // its sockets are made by no system call that seccomp sees
}

// TestRefused shows that a hostd which tries TCP, UDP and raw sockets over IPv4 and IPv6
// gets none; that each try is counted, in its status, its metrics and its log, by family
// and process; and that sockets of other families are refused, too.
func TestRefused(t *testing.T) {
	ctx := rig.Within(t, time.Minute)
	h := takeOver(t, require+rig.Sound)
	if s := status(ctx, t, h.Daemon).Guard; !s.Up || !s.Confined || s.Mode != "require" || s.Error != "" || s.Cgroup == "" {
		t.Errorf("the guard is not up: %+v", s)
	}
	if r := status(ctx, t, h.Daemon).Guard.Refused; r.Inet+r.Inet6 != 0 || len(r.By) != 0 {
		t.Errorf("hostd itself has tried to reach the network: %+v", r)
	}
	want := map[string]uint64{}
	for _, try := range inet {
		h.refuses(ctx, t, try.try, syscall.EPERM)
		want[try.family] += uint64(max(try.Times, 1) * max(try.Threads, 1))
	}
	for _, try := range others {
		h.refuses(ctx, t, try.try, try.with)
	}

	s := status(ctx, t, h.Daemon)
	if r := s.Guard.Refused; r.Inet != want["inet"] || r.Inet6 != want["inet6"] {
		t.Errorf("%d and %d tries are counted, want %d and %d", r.Inet, r.Inet6, want["inet"], want["inet6"])
	}
	rows := map[string]uint64{}
	for family, n := range want {
		rows[fmt.Sprintf("%s taken %d", family, h.PID())] = n
	}
	if got := counted(s); !maps.Equal(got, rows) {
		t.Errorf("by process there are %v, want %v", got, rows)
	}
	for family, n := range want {
		name := fmt.Sprintf("headgate_guard_refused_total{family=%q,process=%q}", family, "taken")
		if got := h.Metrics(ctx, t, "headgate_guard_refused_total"); got[name] != fmt.Sprint(n) {
			t.Errorf("%s is %q, want %d; there are %v", name, got[name], n, got)
		}
	}
	awaitEvents(ctx, t, h.Daemon, tried, func(all []events.Event) bool {
		seen := map[string]int{}
		for _, e := range all {
			if e.Fields["process"] == "taken" && e.Fields["pid"] == fmt.Sprint(h.PID()) {
				seen[e.Fields["family"]]++
			}
		}
		return seen["inet"] > 0 && seen["inet6"] > 0
	})
	text, err := exec.CommandContext(ctx, built(t).hostd, "status", "--control", h.Control).CombinedOutput()
	if err != nil {
		t.Error(err)
	}
	t.Logf("hostd status:\n%s", text)
}

// tried is the kind of the event of a try.
const tried = "guard_refused"

// TestOffIsOff shows that it is the guard which refuses: without it the same hostd has
// what it tries.
func TestOffIsOff(t *testing.T) {
	ctx := rig.Within(t, time.Minute)
	h := takeOver(t, off+rig.Sound)
	for _, try := range inet[:3] {
		if came := h.does(ctx, t, try.try); came[0] != 1 {
			t.Errorf("%s: %s", try.try, said(came))
		}
	}
	if s := status(ctx, t, h.Daemon).Guard; s.Up || s.Mode != "off" || s.Error != "" || s.Refused.Inet != 0 {
		t.Errorf("the guard is to be off: %+v", s)
	}
	if came := h.does(ctx, t, try{Do: "listen", Network: "unix", Address: "@headgate-try"}); came[0] != 1 {
		t.Errorf("a unix socket: %v", came[syscall.Errno(0)])
	}
}
