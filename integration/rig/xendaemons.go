//go:build linux

package rig

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
)

const (
	storeSocket = "/run/xenstored/socket"
	consoleLogs = "/var/log/xen/console"
	daemonsLog  = "/var/log/xen/daemons.log"
)

// startXenDaemons makes dom0 what its distribution's start-up would: mounts,
// the loopback device, xenstored, xenconsoled. They are daemons and end with the
// machine.
func startXenDaemons() error {
	for _, m := range []struct{ kind, at string }{
		{"xenfs", "/proc/xen"},
		{"tmpfs", "/dev/shm"},
	} {
		if err := os.MkdirAll(m.at, 0o755); err != nil {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	for _, dir := range []string{"/run/xen", "/run/xenstored", "/run/lock"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("bring up lo: %w", err)
	}
	if err := daemonise("xenstored", "--pid-file", "/run/xenstored.pid"); err != nil {
		return err
	}
	if err := awaitStore(10 * time.Second); err != nil {
		return err
	}
	if err := daemonise("xen-init-dom0"); err != nil {
		return err
	}
	return daemonise("xenconsoled", "--pid-file", "/run/xenconsoled.pid", "--log=guest", "--log-dir="+consoleLogs)
}

// daemonise runs a program until its first process has ended. Its output goes to
// a file: a daemon keeps it open.
func daemonise(name string, args ...string) error {
	log, err := os.OpenFile(daemonsLog, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("start %s: %w\n%s", name, err, Tail(daemonsLog, 10))
	}
	return nil
}

// awaitStore waits until xenstored listens: its first process ends before.
func awaitStore(patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for {
		conn, err := net.Dial("unix", storeSocket)
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("xenstored does not listen: %w\n%s", err, Tail(daemonsLog, 10))
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}
