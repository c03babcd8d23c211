package rig

import (
	"os"
	"os/exec"
	"testing"
)

// Tool finds a program, or says which Debian package has it: a laptop may do
// without, CI may not.
func Tool(t testing.TB, name, debian string) string {
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
