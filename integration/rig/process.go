//go:build linux

package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// process is a program on the host with a log and a time limit. It runs in a
// process group of its own, which is killed as a whole, and it dies with us.
type process struct {
	name string
	log  string
	pid  int
	done chan struct{} // closed when it has been waited for
	err  error         // how it ended; valid after done
}

// startProcess starts cmd with its output appended to the file log. When ctx
// ends, or the limit is over, it is killed.
func startProcess(ctx context.Context, cmd *exec.Cmd, log string, limit time.Duration) (*process, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	cmd.Stdout, cmd.Stderr = file, file
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid, cmd.SysProcAttr.Pdeathsig = true, syscall.SIGKILL

	p := &process{name: cmd.Path, log: log, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel sends Pdeathsig when the starting thread ends, not the
		// process: the thread has to stay until the child has gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			p.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	go p.guard(ctx, limit)
	return p, nil
}

// guard kills the process when its time is over.
func (p *process) guard(ctx context.Context, limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.done:
		return
	case <-ctx.Done():
	case <-timer.C:
	}
	p.signal(syscall.SIGKILL)
}

// signal sends to the whole group, unless the process has gone.
func (p *process) signal(sig syscall.Signal) {
	select {
	case <-p.done:
	default:
		_ = syscall.Kill(-p.pid, sig)
	}
}

// kill ends the process at once and waits until it has gone.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// wait waits until the process has gone, for at most the patience.
func (p *process) wait(patience time.Duration) error {
	select {
	case <-p.done:
		return p.err
	case <-time.After(patience):
		return fmt.Errorf("%s runs still after %s", p.name, patience)
	}
}

// failed is the error of a process that ended before it was told to.
func (p *process) failed() error {
	err := p.err
	if err == nil {
		err = errors.New("exit status 0")
	}
	return fmt.Errorf("%s ended: %w; the end of its log:\n%s", p.name, err, Tail(p.log, 30))
}

// Tail returns the last lines of a log, indented, for an error to quote.
func Tail(file string, lines int) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return "    (" + err.Error() + ")"
	}
	all := strings.Split(strings.TrimRight(strings.ReplaceAll(string(text), "\r", ""), "\n"), "\n")
	all = all[max(0, len(all)-lines):]
	return "    " + strings.Join(all, "\n    ")
}
