//go:build linux

package rig

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// stage is the environment's word for how far a test program is isolated.
const (
	stage       = "HEADGATE_RIG_STAGE"
	stageInit   = "init"
	stageInside = "inside"
	stageShown  = "shown" // not the tests: a program that cgroups are shown to
)

// Private is a folder inside Isolate's namespaces that goes with them. The users
// that QEMU runs as may look into it.
const Private = "/var/lib/libvirt/rig"

// private are the folders that are empty inside: those of libvirt and of hostd,
// with /run the sockets of whatever else runs on this machine (systemd, D-Bus,
// the journal), and the network devices, which libvirtd would ask for what it
// cannot reach from the network that it has.
var private = []string{"/run", "/etc/libvirt", "/var/lib/libvirt", "/var/log/libvirt", "/var/cache/libvirt", "/sys/class/net"}

// Isolate runs this test program again in mount and process namespaces of its
// own, so that a libvirtd in it has nothing in common with the machine's own and
// nothing that it starts outlives the tests. TestMain calls it first:
//
//	if code, ran := rig.Isolate(); ran {
//		os.Exit(code)
//	}
//
// Where MissingLibvirt says that no libvirtd can run here it does nothing, and
// NeedLibvirt ends each test.
func Isolate() (code int, ran bool) {
	var err error
	switch os.Getenv(stage) {
	case stageInside:
		return 0, false
	case stageInit:
		code, err = first()
	case stageShown:
		err = execShown()
	default:
		if MissingLibvirt() != "" {
			return 0, false
		}
		code, err = outside()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "isolate the tests:", err)
		return 1, true
	}
	return code, true
}

// again is this program, with the same arguments, at a stage. The path is that
// of the file itself: its folder may be out of sight.
func again(at string) *exec.Cmd {
	return &exec.Cmd{
		Path: "/proc/self/exe", Args: os.Args,
		Env:   append(environment(stage), stage+"="+at),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}
}

// outside starts the first process of the namespaces and waits for it.
func outside() (int, error) {
	// Pdeathsig comes when the starting thread ends (prctl(2)).
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := again(stageInit)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer forward(cmd.Process)()
	err := cmd.Wait()
	var failed *exec.ExitError
	if err == nil || errors.As(err, &failed) && failed.Exited() {
		return cmd.ProcessState.ExitCode(), nil
	}
	return 0, err
}

// first is the first process of the namespaces: it mounts, starts the tests, and
// waits for whoever is left without a parent (QEMU is: libvirt starts it as a
// daemon). When it ends the kernel kills all others.
func first() (int, error) {
	if err := mountPrivate(); err != nil {
		return 0, err
	}
	if err := os.Setenv("TMPDIR", Private); err != nil {
		return 0, err
	}
	tests := again(stageInside)
	if err := tests.Start(); err != nil {
		return 0, err
	}
	defer forward(tests.Process)()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 0, fmt.Errorf("wait: %w", err)
		case pid != tests.Process.Pid:
		case status.Signaled():
			return 128 + int(status.Signal()), nil
		default:
			return status.ExitStatus(), nil
		}
	}
}

// forward hands on the signals that end a test run: go test sends SIGQUIT when
// its time is over, and wants to see the goroutines.
func forward(to *os.Process) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case s := <-signals:
				_ = to.Signal(s)
			case <-done:
				return
			}
		}
	}()
	return func() { signal.Stop(signals); close(done) }
}

func mountPrivate() error {
	// Nothing of what follows may reach the namespace that we came from.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	// Without control groups in sight libvirt makes none, which would be the
	// machine's own, with names that its own libvirtd may want.
	if err := unix.Unmount("/sys/fs/cgroup", unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("unmount /sys/fs/cgroup: %w", err)
	}
	for _, dir := range private {
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755"); err != nil {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
	}
	for _, dir := range []string{"/run/lock", "/etc/libvirt/hooks", Private} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}
