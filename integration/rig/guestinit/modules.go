//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"headgate/integration/rig/job"

	"golang.org/x/sys/unix"
)

// bootModules reads the list of modules from the kernel command line.
func bootModules(cmdline string) ([]string, error) {
	list, err := parameter(cmdline, job.BootModules)
	if err != nil || list == "" {
		return nil, err
	}
	return strings.Split(list, ","), nil
}

// parameter reads one of our parameters from the kernel command line; "" where it
// is not given.
func parameter(cmdline, name string) (string, error) {
	text, err := os.ReadFile(cmdline)
	if err != nil {
		return "", fmt.Errorf("read kernel command line: %w", err)
	}
	for word := range strings.FieldsSeq(string(text)) {
		if value, found := strings.CutPrefix(word, name+"="); found {
			return value, nil
		}
	}
	return "", nil
}

// insert inserts modules in order. One that is there already is no error: two
// checks of one boot may ask for the same.
func insert(names []string) error {
	for _, name := range names {
		if err := insertOne(name); err != nil {
			return fmt.Errorf("insert module %s: %w", name, err)
		}
	}
	return nil
}

func insertOne(name string) error {
	file, err := os.Open(filepath.Join(job.ModuleDir, filepath.Base(name)+".ko"))
	if err != nil {
		return err
	}
	defer file.Close()
	err = unix.FinitModule(int(file.Fd()), "", 0)
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	return err
}
