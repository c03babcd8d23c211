package rig

import (
	"os/exec"
	"testing"

	"headgate/integration/need"
)

// Tool finds a program, or says which Debian package has it: a laptop may do
// without, CI may not.
func Tool(t testing.TB, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		need.Unmet(t, name, " is missing: apt-get install ", debian)
	}
	return path
}
