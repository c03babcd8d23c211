//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"headgate/integration/rig/job"

	"golang.org/x/sys/unix"
)

// outputLimit bounds what is kept of a program's output.
const outputLimit = 32 << 10

// run runs a program to its end and says how it ended. Its start is marked in
// the kernel's log.
func run(c job.Command) (*job.Exit, error) {
	if len(c.Args) == 0 {
		return nil, errors.New("run: no program named")
	}
	limit := c.For
	if limit <= 0 {
		limit = 30 * time.Second
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd, exit := program(ctx, c.Args)
	mark("run " + c.Args[0])
	var boot unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot); err != nil {
		return nil, err
	}
	begun := time.Now()
	ended := cmd.Run()
	took := time.Since(begun)
	e, err := exit(ended)
	if err == nil {
		e.Began, e.Took = time.Duration(boot.Nano()), took
	}
	return e, err
}

// start starts a program, answers its pid at once, and fills in the last answer
// when it has ended.
func (s *session) start(c job.Command, last *job.Answer) error {
	if len(c.Args) == 0 {
		return errors.New("start: no program named")
	}
	cmd, exit := program(context.Background(), c.Args)
	cmd.Dir, cmd.Env = c.Dir, append(os.Environ(), c.Env...)
	if c.Output != "" {
		path, err := awaitPort(c.Output, portPatience)
		if err != nil {
			return err
		}
		port, err := openBlocking(path)
		if err != nil {
			return err
		}
		defer port.Close()
		cmd.Stdout, cmd.Stderr = port, port
	}
	mark("start " + c.Args[0])
	if err := cmd.Start(); err != nil {
		return err
	}
	defer s.began(c.ID, func() { _ = cmd.Process.Signal(unix.SIGTERM) })()
	s.answer(job.Answer{ID: c.ID, PID: cmd.Process.Pid})
	var err error
	last.Exit, err = exit(cmd.Wait())
	return err
}

// program prepares a command whose output is kept.
func program(ctx context.Context, args []string) (*exec.Cmd, func(error) (*job.Exit, error)) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	return cmd, func(err error) (*job.Exit, error) {
		var failed *exec.ExitError
		if err != nil && !errors.As(err, &failed) {
			return nil, err
		}
		exit := &job.Exit{
			Code:   cmd.ProcessState.ExitCode(),
			Stdout: head(stdout.Bytes()),
			Stderr: head(stderr.Bytes()),
		}
		if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			exit.Signal = status.Signal().String()
		}
		return exit, nil
	}
}

func head(b []byte) string { return string(b[:min(len(b), outputLimit)]) }

// memory reads a process's peak and present resident memory, and how often its
// threads were switched to.
func memory(pid int) (*job.Memory, error) {
	process, err := counts(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil, err
	}
	m := job.Memory{PeakKiB: process["VmHWM:"], NowKiB: process["VmRSS:"], Threads: process["Threads:"]}
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return nil, err
	}
	for _, file := range threads {
		thread, err := counts(file)
		if err != nil {
			continue // it has ended
		}
		m.Switches += thread["voluntary_ctxt_switches:"] + thread["nonvoluntary_ctxt_switches:"]
	}
	if m.PeakKiB == 0 {
		return nil, fmt.Errorf("process %d has no memory any more", pid)
	}
	return &m, spent(pid, &m)
}

// spent reads a process's processor time and the guest's own. Unlike the ticks of
// /proc/PID/stat the process's clock, whose number is made of its pid, has all of it
// (clock_getcpuclockid(3); CPUCLOCK_SCHED in the kernel's posix-timers.h).
func spent(pid int, m *job.Memory) error {
	const sched = 2
	var used unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|sched), &used); err != nil {
		return fmt.Errorf("read the processor time of process %d: %w", pid, err)
	}
	text, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return err
	}
	var uptime, idle float64
	if _, err := fmt.Sscan(string(text), &uptime, &idle); err != nil {
		return fmt.Errorf("/proc/uptime: %q: %w", text, err)
	}
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	m.Spent, m.Uptime, m.Idle = time.Duration(used.Nano()), seconds(uptime), seconds(idle)
	return nil
}

// counts are the lines of a status (proc(5)) that say a number.
func counts(file string) (map[string]int, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	all := map[string]int{}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 {
			if n, err := strconv.Atoi(fields[1]); err == nil {
				all[fields[0]] = n
			}
		}
	}
	return all, nil
}
