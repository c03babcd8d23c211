//go:build linux

package rig

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Missing returns the Debian packages that a guest needs and that are not
// installed.
func Missing() []string {
	var packages []string
	if _, err := exec.LookPath(QEMU); err != nil {
		packages = append(packages, "qemu-system-x86")
	}
	kernel, err := FindKernel()
	if err != nil {
		packages = append(packages, "linux-image-cloud-amd64")
	} else if compressed(kernel) {
		if _, err := exec.LookPath("xz"); err != nil {
			packages = append(packages, "xz-utils")
		}
	}
	return packages
}

func compressed(k Kernel) bool {
	modules, err := k.Resolve(moduleConsole)
	return err == nil && len(modules) > 0 && strings.HasSuffix(modules[0].Path, ".xz")
}

// Remedy is the line that installs packages.
func Remedy(packages []string) string {
	return "apt-get install --no-install-recommends " + strings.Join(packages, " ")
}

// Need ends the test where no guest can run: skipped on a laptop, failed where
// CI is set, because the rig has to be there.
func Need(t testing.TB) {
	t.Helper()
	missing := Missing()
	if len(missing) == 0 {
		return
	}
	why := fmt.Sprintf("no guest can be booted here; as root: %s", Remedy(missing))
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}
