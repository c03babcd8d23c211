//go:build linux

package rig

import (
	"bytes"
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
	libvirtLimit    = 15 * time.Minute
	libvirtPatience = 30 * time.Second // it asks QEMU what it can, when its cache is empty
	virshPatience   = time.Minute
)

// Libvirtd is a libvirtd with its virtlogd inside Isolate's namespaces, as on a
// freshly installed host. It can be killed and started again.
type Libvirtd struct {
	Log string

	binary        string
	virtlogd, run *process
}

// StartLibvirtd starts both and returns when libvirtd answers. The error quotes
// its log.
func StartLibvirtd(ctx context.Context) (*Libvirtd, error) {
	if os.Getenv(stage) != stageInside {
		return nil, errors.New("libvirtd is only started inside rig.Isolate")
	}
	for file, text := range map[string]string{
		"libvirtd.conf": `log_outputs = "3:stderr"` + "\n",
		// AppArmor's and SELinux's rules are the machine's: a test leaves them alone.
		"qemu.conf": `security_driver = "none"` + "\n",
	} {
		if err := os.WriteFile(filepath.Join("/etc/libvirt", file), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	l := &Libvirtd{Log: filepath.Join(Private, "libvirtd.log"), binary: filepath.Join(Private, "libvirtd")}
	// A copy: AppArmor confines the program at its own path, and would not let it
	// run a hostd that is not where a host has it.
	if err := copyProgram("libvirtd", l.binary); err != nil {
		return nil, err
	}
	var err error
	if l.virtlogd, err = startProcess(ctx, exec.Command("virtlogd"), filepath.Join(Private, "virtlogd.log"), libvirtLimit); err != nil {
		return nil, err
	}
	if err := l.Start(ctx); err != nil {
		l.virtlogd.kill()
		return nil, err
	}
	return l, nil
}

func copyProgram(name, to string) error {
	from, err := exec.LookPath(name)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o755)
}

// Start starts libvirtd alone and returns when it answers.
func (l *Libvirtd) Start(ctx context.Context) error {
	cmd := exec.Command(l.binary)
	// A network of its own, so that it can change no firewall and no bridge.
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	var err error
	if l.run, err = startProcess(ctx, cmd, l.Log, libvirtLimit); err != nil {
		return err
	}
	over := time.Now().Add(libvirtPatience)
	for {
		_, err := Virsh(ctx, "uri")
		if err == nil {
			return nil
		}
		select {
		case <-l.run.done:
			return l.run.failed()
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(over) {
			l.run.kill()
			return fmt.Errorf("libvirtd does not answer: %w; the end of its log:\n%s", err, Tail(l.Log, 30))
		}
	}
}

// Reload has libvirtd read its configuration again and look for hooks.
func (l *Libvirtd) Reload() { l.run.signal(syscall.SIGHUP) }

// Stop ends libvirtd as a service manager does. Its guests go on.
func (l *Libvirtd) Stop() error {
	l.run.signal(syscall.SIGTERM)
	return l.run.wait(libvirtPatience)
}

// Kill ends libvirtd as a crash does. Its guests go on.
func (l *Libvirtd) Kill() { l.run.kill() }

// Freeze stops libvirtd where it stands; Thaw lets it go on.
func (l *Libvirtd) Freeze() { l.run.signal(syscall.SIGSTOP) }

// Thaw lets a frozen libvirtd go on.
func (l *Libvirtd) Thaw() { l.run.signal(syscall.SIGCONT) }

// Close ends libvirtd and virtlogd.
func (l *Libvirtd) Close() {
	l.run.kill()
	l.virtlogd.kill()
}

// Virsh runs virsh(1) and returns what it printed. The error has what it said
// was wrong.
func Virsh(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, virshPatience)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "virsh", append([]string{"--quiet", "--connect", "qemu:///system"}, args...)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("virsh %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSpace(stdout.String()), nil
}
