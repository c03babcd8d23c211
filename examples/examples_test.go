// Package examples runs the examples, as far as they need no libvirtd: the others
// are run in integration.
package examples

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// hostd is the program, built for the tests.
var hostd string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "examples")
	if err == nil {
		hostd = filepath.Join(dir, "hostd")
		var out []byte
		if out, err = exec.Command("go", "build", "-o", hostd, "../hostd").CombinedOutput(); err != nil {
			err = fmt.Errorf("build hostd: %w\n%s", err, out)
		}
	}
	code := 1
	if err == nil {
		code = m.Run()
	} else {
		fmt.Fprintln(os.Stderr, err)
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// run runs a program that must succeed and be silent on stderr.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil || errs.Len() > 0 {
		t.Fatalf("%s %.200q: %v\n%s", name, args, err, errs.String())
	}
	return string(out)
}

// tool finds a program, or says which Debian package has it: a laptop may do
// without, CI may not.
func tool(t *testing.T, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		t.Fatalf("%s is missing: apt-get install %s", name, debian)
	default:
		t.Skipf("%s is missing: apt-get install %s", name, debian)
	}
	return path
}

func TestScripts(t *testing.T) {
	n := 0
	for _, pattern := range []string{"*/*", "*/*/*", "*/*/*/*"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			info, err := os.Stat(path)
			if err != nil || info.IsDir() || !strings.HasPrefix(read(t, path), "#!/bin/sh\n") {
				continue
			}
			n++
			run(t, "sh", "-n", path)
			if info.Mode()&0o111 == 0 {
				t.Errorf("%s cannot be run", path)
			}
		}
	}
	if n != 2 {
		t.Errorf("%d scripts of 2", n)
	}
}
