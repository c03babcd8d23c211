//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
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
	return exit(cmd.Run())
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

// memory reads a process's peak and present resident memory.
func memory(pid int) (*job.Memory, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil, err
	}
	var m job.Memory
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			continue
		}
		switch n, _ := strconv.Atoi(fields[1]); fields[0] {
		case "VmHWM:":
			m.PeakKiB = n
		case "VmRSS:":
			m.NowKiB = n
		}
	}
	if m.PeakKiB == 0 {
		return nil, fmt.Errorf("process %d has no memory any more", pid)
	}
	return &m, nil
}
