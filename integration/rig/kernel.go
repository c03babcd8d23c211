//go:build linux

package rig

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ErrNoKernel means that there is no kernel for the guest on this machine.
var ErrNoKernel = errors.New("no cloud kernel with its modules in /boot and /lib/modules: install linux-image-cloud-amd64")

// Kernel is a kernel image and the folder of its modules.
type Kernel struct {
	Release string // as uname -r says it
	Image   string // /boot/vmlinuz-RELEASE
	Modules string // /lib/modules/RELEASE
}

// FindKernel finds Debian's cloud kernel of the highest version. It is ErrNoKernel
// where there is none.
func FindKernel() (Kernel, error) { return findKernel("/") }

func findKernel(root string) (Kernel, error) {
	images, err := filepath.Glob(filepath.Join(root, "boot", "vmlinuz-*-cloud-amd64"))
	if err != nil {
		return Kernel{}, fmt.Errorf("find kernel: %w", err)
	}
	var best Kernel
	for _, image := range images {
		release := strings.TrimPrefix(filepath.Base(image), "vmlinuz-")
		modules := filepath.Join(root, "lib", "modules", release)
		if _, err := os.Stat(filepath.Join(modules, "modules.dep")); err != nil {
			continue // removed, but its image was left
		}
		if compareReleases(release, best.Release) > 0 {
			best = Kernel{Release: release, Image: image, Modules: modules}
		}
	}
	if best.Image == "" {
		return Kernel{}, ErrNoKernel
	}
	return best, nil
}

// compareReleases compares kernel releases with numbers as numbers: 6.1.0-9 is
// before 6.1.0-12.
func compareReleases(a, b string) int {
	for a != "" && b != "" {
		var x, y string
		x, a = leadingRun(a)
		y, b = leadingRun(b)
		i, errX := strconv.Atoi(x)
		j, errY := strconv.Atoi(y)
		c := cmp.Compare(x, y)
		if errX == nil && errY == nil {
			c = cmp.Compare(i, j)
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

// leadingRun splits off the digits, or the other characters, that s starts with.
func leadingRun(s string) (run, rest string) {
	digit := func(c byte) bool { return c >= '0' && c <= '9' }
	n := 1
	for n < len(s) && digit(s[n]) == digit(s[0]) {
		n++
	}
	return s[:n], s[n:]
}
