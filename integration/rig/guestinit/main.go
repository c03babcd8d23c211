//go:build linux

// Command guestinit is PID 1 of the rig's guest. It mounts what a program
// needs, inserts the modules that the kernel command line names, and then does
// what the host says over the rig's own virtio-serial port, or a console where
// there is no virtio (package job). In a guest with an init of its own it is a
// service, "guestinit serve", and does that last part alone.
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
	if len(os.Args) == 2 && os.Args[1] == "serve" {
		// Without the rig's port this is a machine that is not the rig's to power off.
		if err := serve(); err != nil {
			fmt.Fprintln(os.Stderr, "guestinit:", err)
			os.Exit(1)
		}
		powerOff(nil)
	}
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "guestinit: this is the init of a test guest, not a program to run by hand")
		os.Exit(2)
	}
	powerOff(boot())
}

// powerOff does not return, for PID 1 must not: the kernel would panic, and the log
// would show that instead of the reason for this.
func powerOff(why error) {
	if why != nil {
		fmt.Println("guestinit:", why)
	}
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
	return serve()
}

func serve() error {
	port, err := openControl("/proc/cmdline")
	if err != nil {
		return err
	}
	defer port.Close()
	return newSession(port).serve()
}
