//go:build !race

// With cgo, which the race detector takes, capabilities of all threads cannot be dropped.

package guard

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"headgate/hostd/kernel"
)

func TestDrop(t *testing.T) {
	if outside(t) {
		apart(t, nil)
		return
	}
	g := attached(t)
	thread(t)
	if err := Drop(); err != nil {
		t.Fatal(err)
	}
	if threads := lost(t, "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"); threads < 2 {
		t.Errorf("%d threads were looked at", threads)
	}
	// The rest is as it was: it is root.
	if has, err := kernel.Held(); err != nil || !has.Effective(unix.CAP_CHOWN) {
		t.Errorf("the others: %v, %v", has, err)
	}
	if err := Drop(); err != nil {
		t.Errorf("dropped again: %v", err)
	}
	watched(t, g)
}

// As a service has it: a user without CAP_SETPCAP, to whom bpf(2) says no from then on
// where kernel.unprivileged_bpf_disabled is set.
func TestDropUser(t *testing.T) {
	if outside(t) {
		apart(t, nil, within(t, made(t)), nobody(unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON))
		return
	}
	g := attached(t)
	if err := Drop(); err != nil {
		t.Fatal(err)
	}
	lost(t, "CapInh", "CapPrm", "CapEff", "CapAmb")
	watched(t, g)
	if _, err := Attach(); err == nil {
		t.Error("another guard could be attached")
	} else {
		contains(t, err, "hostd lacks CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON", "AmbientCapabilities=")
	}
}

// Root that becomes another user afterwards.
func TestDropThenNobody(t *testing.T) {
	if outside(t) {
		apart(t, nil, within(t, made(t)))
		return
	}
	g := attached(t)
	if err := Drop(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setuid(65534); err != nil {
		t.Fatal(err)
	}
	watched(t, g)
}

// watched sees that the guard refuses, counts and tells.
func watched(t *testing.T, g *Guard) {
	t.Helper()
	before := g.Refused()
	refusedWith(t, unix.EPERM, unix.AF_INET, unix.SOCK_DGRAM, 0)
	if after := g.Refused(); after.Inet != before.Inet+1 || after.Inet6 != before.Inet6 {
		t.Errorf("refused: %+v, before: %+v", after, before)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got Try
	if err := g.Watch(ctx, func(try Try) { got = try; cancel() }); err != nil {
		t.Fatal(err)
	}
	if want := (Try{"inet", "dgram", "udp", comm(t), os.Getpid()}); !reflect.DeepEqual(got, want) {
		t.Errorf("watched: %+v, want %+v", got, want)
	}
}

// lost looks at these sets of all threads, and gives how many there are.
func lost(t *testing.T, sets ...string) int {
	t.Helper()
	files, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		status, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		for _, set := range sets {
			_, rest, _ := strings.Cut(string(status), "\n"+set+":\t")
			digits, _, _ := strings.Cut(rest, "\n")
			has, err := strconv.ParseUint(digits, 16, 64)
			if err != nil {
				t.Fatalf("%s: %s: %v", file, set, err)
			}
			if gone := uint64(1)<<unix.CAP_BPF | 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_PERFMON; has&gone != 0 {
				t.Errorf("%s: %s is %x", file, set, has)
			}
		}
	}
	return len(files)
}

// A thread that will pass nothing on, as a command's of a source, in a process that some
// container runtime started with more to pass on than it may use itself.
func TestDropBesideARenouncedThread(t *testing.T) {
	if outside(t) {
		apart(t, nil, nobody(unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON, unix.CAP_CHOWN))
		return
	}
	all, err := kernel.Held()
	if err != nil {
		t.Fatal(err)
	}
	all[0].Effective, all[0].Permitted = 0, 0
	if err := hold(all); err != nil {
		t.Fatal(err)
	}
	thread(t)(func() {
		mine := all
		mine[0].Inheritable, mine[1].Inheritable = 0, 0
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		if err := unix.Capset(&header, &mine[0]); err != nil {
			t.Error(err)
		}
	})
	if err := Drop(); err != nil {
		t.Fatal(err)
	}
	lost(t, "CapInh", "CapPrm", "CapEff", "CapAmb")
}

// Who has none of them changes nothing, and asks for nothing that a filter may refuse.
func TestDropNothing(t *testing.T) {
	if outside(t) {
		apart(t, nil, nobody(unix.CAP_CHOWN))
		return
	}
	before, err := kernel.Held()
	if err != nil {
		t.Fatal(err)
	}
	if err := Drop(); err != nil {
		t.Fatal(err)
	}
	if after, err := kernel.Held(); err != nil || after != before || !after.Effective(unix.CAP_CHOWN) {
		t.Errorf("%+v, %v, before: %+v", after, err, before)
	}
}
