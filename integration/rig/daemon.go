//go:build linux

package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	daemonLimit   = 3 * time.Minute
	readyPatience = 15 * time.Second
)

// Sound is a source of hostd's configuration that never runs dry, for tests of the way
// of the bytes, whatever noise the machine has that runs them.
const Sound = `
[[source]]
name = "sound"
type = "file"
path = "/dev/urandom"
min_entropy = 7.0
`

// Daemon is a hostd on this machine. It can be killed and started again; it
// keeps its configuration, its sockets' paths and its state file.
type Daemon struct {
	Control string        // path of the control socket
	Log     string        // file
	Limit   time.Duration // of one run; 3 minutes if not changed
	// Change, if there is one, changes the command of each start.
	Change func(*exec.Cmd)

	dir    string
	binary string
	file   string
	guard  bool // it is to be up
	run    *process
	ready  *readiness
}

// NewDaemon writes a configuration for the hostd at binary into dir. The text
// is what a user would write, but for the control socket and the state file,
// which are put in dir, too, that it does not follow this machine's own libvirt
// unless the text has a table for that, and that in CI it does not serve without its
// network guard, unless the text has a line on that.
func NewDaemon(dir, binary, text string) (*Daemon, error) {
	d := &Daemon{
		Control: filepath.Join(dir, "control.sock"),
		Log:     filepath.Join(dir, "hostd.log"),
		Limit:   daemonLimit,
		dir:     dir,
		binary:  binary,
		file:    filepath.Join(dir, "hostd.toml"),
	}
	head := fmt.Sprintf("control = %q\nstate = %q\n", d.Control, filepath.Join(dir, "state.json"))
	if !saysGuard(text) {
		head += Guard()
		d.guard = Guard() != ""
	}
	if !strings.Contains(text, "[libvirt]") {
		text += "\n[libvirt]\nfollow = false\n"
	}
	if err := os.WriteFile(d.file, []byte(head+text), 0o600); err != nil {
		return nil, err
	}
	return d, nil
}

// Start starts the daemon and returns when it has told READY=1 (sd_notify(3)).
// The error quotes its log.
func (d *Daemon) Start(ctx context.Context) error {
	d.Close()
	var err error
	if d.ready, err = listenReadiness(filepath.Join(d.dir, "notify")); err != nil {
		return err
	}
	cmd := exec.Command(d.binary, "serve", "--config", d.file)
	cmd.Env = append(environment("NOTIFY_SOCKET", "WATCHDOG_USEC", "JOURNAL_STREAM"), "NOTIFY_SOCKET="+d.ready.path)
	showCgroups(cmd)
	if d.Change != nil {
		d.Change(cmd)
	}
	d.run, err = startProcess(ctx, cmd, d.Log, d.Limit)
	if err != nil {
		return err
	}
	err = d.ready.await(d.run.done, readyPatience)
	if errors.Is(err, errEnded) {
		return d.run.failed()
	}
	if err != nil {
		d.run.kill()
		return fmt.Errorf("%s did not get ready: %w; the end of its log:\n%s", d.binary, err, Tail(d.Log, 30))
	}
	if d.guard {
		return d.checkGuard()
	}
	return nil
}

// environment is ours without what a service manager may have put there.
func environment(without ...string) []string {
	var kept []string
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		drop := false
		for _, w := range without {
			drop = drop || name == w
		}
		if !drop {
			kept = append(kept, entry)
		}
	}
	return kept
}

// PID is the process as it runs now.
func (d *Daemon) PID() int { return d.run.pid }

// Kill ends the daemon with SIGKILL, as a crash would.
func (d *Daemon) Kill() { d.run.kill() }

// Terminate asks the daemon to stop (SIGTERM) and returns how long it took. An
// exit code that is not 0, or the end of the patience, is an error.
func (d *Daemon) Terminate(patience time.Duration) (time.Duration, error) {
	begun := time.Now()
	d.run.signal(syscall.SIGTERM)
	if err := d.run.wait(patience); err != nil {
		return time.Since(begun), fmt.Errorf("stop hostd: %w; the end of its log:\n%s", err, Tail(d.Log, 30))
	}
	return time.Since(begun), nil
}

// Freeze stops the daemon where it stands, as one that hangs.
func (d *Daemon) Freeze() { d.run.signal(syscall.SIGSTOP) }

// Thaw lets a frozen daemon go on.
func (d *Daemon) Thaw() { d.run.signal(syscall.SIGCONT) }

// Close ends the daemon if it runs still.
func (d *Daemon) Close() {
	if d.run != nil {
		if _, err := d.Terminate(2 * time.Second); err != nil {
			d.run.kill()
		}
	}
	if d.ready != nil {
		d.ready.close()
		d.ready = nil
	}
}
