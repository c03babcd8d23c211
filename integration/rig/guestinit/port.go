//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// openPort opens the virtio-serial port with that name. The driver announces
// ports some time after it was inserted, so it is looked for again until the
// patience is over. There is no udev here that would link /dev/virtio-ports.
func openPort(name string, patience time.Duration) (*os.File, error) {
	deadline := time.Now().Add(patience)
	for {
		found, err := findPort("/sys/class/virtio-ports", name)
		if err != nil {
			return nil, err
		}
		if found != "" {
			return os.OpenFile(filepath.Join("/dev", found), os.O_RDWR, 0)
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("no virtio-serial port named %s after %s", name, patience)
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
