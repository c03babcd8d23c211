//go:build linux

package rig

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"headgate/integration/need"
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

// MissingXen returns the Debian packages that a machine with Xen needs and that
// are not installed.
func MissingXen() []string {
	packages := Missing()
	need := func(debian string, err error) {
		if err != nil && !slices.Contains(packages, debian) {
			packages = append(packages, debian)
		}
	}
	_, err := findXen("/")
	need("xen-system-amd64", err)
	_, err = FindGenericKernel()
	need("linux-image-amd64", err)
	for _, f := range []struct{ file, debian string }{
		{storeTool, "xenstore-utils"},
		{channelQEMU, "qemu-system-xen"},
		{keymap, "qemu-system-data"},
		{"/usr/lib/x86_64-linux-gnu/libxenvchan.a", "libxen-dev"},
		{"/usr/lib/x86_64-linux-gnu/libc.a", "libc6-dev"},
	} {
		_, err := os.Stat(f.file)
		need(f.debian, err)
	}
	for _, f := range []struct{ program, debian string }{
		{"busybox", "busybox-static"}, {"xz", "xz-utils"}, {"zstd", "zstd"}, {"gcc", "gcc"},
	} {
		_, err := exec.LookPath(f.program)
		need(f.debian, err)
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
	if missing := Missing(); len(missing) > 0 {
		need.Unmet(t, "no guest can be booted here; as root: ", Remedy(missing))
	}
}

// NeedGeneric is Need for tests that boot the generic kernel, too.
func NeedGeneric(t testing.TB) {
	t.Helper()
	Need(t)
	if _, err := FindGenericKernel(); err != nil {
		need.Unmet(t, err)
	}
}

// MissingLibvirt says why no libvirtd can be run here, with what to do about it,
// or "".
func MissingLibvirt() string {
	packages := Missing()
	for _, need := range []struct{ program, debian string }{
		{"libvirtd", "libvirt-daemon-system"},
		{"virtlogd", "libvirt-daemon-system"},
		{"virsh", "libvirt-clients"},
		{"qemu-img", "qemu-utils"},
	} {
		if _, err := exec.LookPath(need.program); err != nil && !slices.Contains(packages, need.debian) {
			packages = append(packages, need.debian)
		}
	}
	switch {
	case len(packages) > 0:
		return "as root: " + Remedy(packages)
	case os.Getuid() != 0:
		return "run the test as root: libvirtd has to make other users' processes"
	}
	return ""
}

// NeedLibvirt is Need for tests inside Isolate.
func NeedLibvirt(t testing.TB) {
	t.Helper()
	Need(t)
	if why := MissingLibvirt(); why != "" {
		need.Unmet(t, "no libvirtd can be run here; ", why)
	}
}
