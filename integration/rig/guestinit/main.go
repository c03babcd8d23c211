//go:build linux

// Command guestinit is PID 1 of the rig's guest. It mounts what a program
// needs, inserts the modules that the kernel command line names, and then does
// what the host says over the rig's own virtio-serial port, or a console where
// there is no virtio (package job).
//
// It never touches the device under test unless it is told to, so that a check
// of a kernel that nobody has seeded stays one.
package main

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "guestinit: this is the init of a test guest, not a program to run by hand")
		os.Exit(2)
	}
	err := boot()
	if err != nil {
		fmt.Println("guestinit:", err)
	}
	// PID 1 must not return: the kernel would panic, and the log would show
	// that instead of the reason above.
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Println("guestinit: power off:", err)
	}
	time.Sleep(time.Hour)
}

func boot() error {
	// The kernel gives its first process no PATH.
	if err := os.Setenv("PATH", "/bin:/sbin"); err != nil {
		return err
	}
	if err := mountAll(); err != nil {
		return err
	}
	modules, err := bootModules("/proc/cmdline")
	if err != nil {
		return err
	}
	if err := insert(modules); err != nil {
		return err
	}
	port, err := openControl("/proc/cmdline")
	if err != nil {
		return err
	}
	defer port.Close()
	return newSession(port).serve()
}
