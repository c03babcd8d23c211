//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"headgate/integration/rig/job"
	"headgate/xen/console"

	"golang.org/x/sys/unix"
)

// openControl opens what the host's commands come by: the rig's virtio-serial
// port, unless the kernel's command line names a terminal.
func openControl(cmdline string) (*os.File, error) {
	name, err := parameter(cmdline, job.PortDevice)
	if err != nil {
		return nil, err
	}
	if name == "" {
		return openPort(job.PortName, portPatience)
	}
	terminal, err := openBlocking(filepath.Join("/dev", filepath.Base(name)))
	if err != nil {
		return nil, err
	}
	if err := console.Raw(int(terminal.Fd())); err != nil {
		return nil, fmt.Errorf("make %s raw: %w", terminal.Name(), err)
	}
	return terminal, nil
}

// openBlocking opens a device whose writes shall wait. Files of os.OpenFile do
// not: the runtime polls them, and a program that inherits one cannot.
func openBlocking(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// portPatience is how long a port may take to appear.
const portPatience = 5 * time.Second

// openPort opens the virtio-serial port with that name.
func openPort(name string, patience time.Duration) (*os.File, error) {
	path, err := awaitPort(name, patience)
	if err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_RDWR, 0)
}

// awaitPort finds the device of the port with that name. The driver announces
// ports some time after it was inserted, so it is looked for again until the
// patience is over. There is no udev here that would link /dev/virtio-ports.
func awaitPort(name string, patience time.Duration) (string, error) {
	deadline := time.Now().Add(patience)
	for {
		found, err := findPort("/sys/class/virtio-ports", name)
		if err != nil {
			return "", err
		}
		if found != "" {
			return filepath.Join("/dev", found), nil
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("no virtio-serial port named %s after %s", name, patience)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// findPort returns the device whose name attribute is name, or "".
func findPort(class, name string) (string, error) {
	files, err := filepath.Glob(filepath.Join(class, "*", "name"))
	if err != nil {
		return "", err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err == nil && strings.TrimSpace(string(text)) == name {
			return filepath.Base(filepath.Dir(file)), nil
		}
	}
	return "", nil
}
