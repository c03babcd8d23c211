//go:build linux

package rig

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Guard is the line of a configuration by which hostd does not serve without its network
// guard, wherever CI is set: there the kernel and the rights have to be there. On a laptop
// there is no such line, and hostd takes what it finds, as everybody's does.
func Guard() string {
	if os.Getenv("CI") == "" {
		return ""
	}
	return "guard = \"require\"\n"
}

// saysGuard tells whether a configuration has a line of its own on that.
func saysGuard(text string) bool {
	for line := range strings.Lines(text) {
		if key, _, found := strings.Cut(line, "="); found && strings.TrimSpace(key) == "guard" {
			return true
		}
	}
	return false
}

// checkGuard returns an error unless the kernel says that the daemon is confined, which
// it is with its guard up, or does not start. Its own status would cost it memory, of
// which some tests measure what guests cost.
func (d *Daemon) checkGuard() error {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.PID()))
	if err != nil {
		return err
	}
	if !strings.Contains(string(status), "\nSeccomp:\t2\n") { // proc(5)
		return fmt.Errorf("hostd serves without its network guard: %s", status)
	}
	return nil
}

// cgroups is where systemd has cgroup v2, too.
const cgroups = "/sys/fs/cgroup"

// showCgroups has a program that is started inside Isolate see cgroup v2, which is out
// of sight there because of libvirtd: in a mount namespace of the program's own.
func showCgroups(cmd *exec.Cmd) {
	if os.Getenv(stage) != stageInside {
		return
	}
	cmd.Args = append([]string{os.Args[0], cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/proc/self/exe"
	cmd.Env = append(cmd.Env, stage+"="+stageShown)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
}

// execShown is this test program in that namespace, before it is the other program.
func execShown() error {
	// Nothing of what follows may reach the namespace that we came from.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("cgroup2", cgroups, "cgroup2", 0, ""); err != nil {
		return fmt.Errorf("mount %s: %w", cgroups, err)
	}
	if len(os.Args) < 2 {
		return fmt.Errorf("no program is named")
	}
	err := syscall.Exec(os.Args[1], os.Args[1:], environment(stage))
	return fmt.Errorf("execute %s: %w", os.Args[1], err)
}
