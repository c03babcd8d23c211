//go:build linux

package rig

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// accountTime bounds each question to a machine that may not answer.
	accountTime = 3 * time.Second
	// xenKeys are what Xen says on its serial console when it is asked (its own handlers:
	// h lists them): of the processors, of dom0, the run queues, the domains.
	xenKeys = "\x01\x01\x01" + "d0rq" // the first three make it listen: conswitch, CTRL-a
)

// account is what can be said from outside of an emulator whose machine stands still:
// whether its threads compute or sleep, and where its processors are.
func account(ctx context.Context, q *process, m *monitor) string {
	var out strings.Builder
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Fprintf(&out, "this machine's load: %s", load)
	before := threads(q.pid)
	registers := func() {
		ctx, cancel := context.WithTimeout(ctx, accountTime)
		defer cancel()
		text, err := m.human(ctx, "info registers -a")
		if err != nil {
			fmt.Fprintf(&out, "QEMU's monitor: %v\n", err)
		}
		for line := range strings.Lines(text) {
			// Of each processor its number, where it is, and what it runs with: HLT=1 sleeps.
			if strings.HasPrefix(line, "CPU#") || strings.Contains(line, "IP=") || strings.HasPrefix(line, "CR0=") {
				out.WriteString(strings.TrimRight(line, "\r\n") + "\n")
			}
		}
	}
	registers()
	_ = Sleep(ctx, time.Second)
	registers()
	after := threads(q.pid)
	for id, t := range after {
		fmt.Fprintf(&out, "QEMU's thread %s (%s): %s, %d ticks of 10 ms since a second ago\n", id, t.name, t.state, t.ticks-before[id].ticks)
	}
	return out.String()
}

type thread struct {
	name, state string
	ticks       int
}

// threads are those of a process, by their numbers: /proc/PID/task/TID/stat (proc(5)).
func threads(pid int) map[string]thread {
	all := map[string]thread{}
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, file := range files {
		text, err := os.ReadFile(file)
		open, end := strings.IndexByte(string(text), '('), strings.LastIndexByte(string(text), ')')
		if err != nil || open < 0 || end < open {
			continue
		}
		t := thread{name: string(text[open+1 : end])}
		fields := strings.Fields(string(text[end+1:])) // from the third on
		if len(fields) < 13 {
			continue
		}
		t.state = fields[0]
		for _, f := range fields[11:13] { // utime, stime
			n := 0
			_, _ = fmt.Sscan(f, &n)
			t.ticks += n
		}
		all[filepath.Base(filepath.Dir(file))] = t
	}
	return all
}

// inside has dom0 say what is known there of tests that do not end.
func (m *machine) inside(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 2*accountTime)
	defer cancel()
	exit, err := m.Run(ctx, accountTime, "sh", "-c",
		"uptime; ps | grep -v [[]; for t in $(pidof "+filepath.Base(testsProgram)+"); do cat /proc/$t/task/*/stack; done; dmesg | tail -n 20; xl list")
	if err != nil {
		return err.Error()
	}
	return exit.Stdout + exit.Stderr
}

// askXen has Xen say on its console how it is.
func askXen(ctx context.Context, console string) error {
	ctx, cancel := context.WithTimeout(ctx, accountTime)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", console)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(xenKeys)); err != nil {
		return err
	}
	<-ctx.Done() // until then it has said much of it
	return nil
}
