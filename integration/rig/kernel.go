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

// ErrNoGenericKernel means that there is no kernel for hardware on this machine.
var ErrNoGenericKernel = errors.New("no generic kernel with its modules in /boot and /lib/modules: install linux-image-amd64")

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
	return findFlavour(root, func(release string) bool { return strings.HasSuffix(release, "-cloud-amd64") }, ErrNoKernel)
}

// FindGenericKernel finds Debian's kernel for hardware of the highest version. Unlike
// the cloud kernel it can be Xen's dom0, and has the driver for vmgenid. It is
// ErrNoGenericKernel where there is none.
func FindGenericKernel() (Kernel, error) { return findGenericKernel("/") }

func findGenericKernel(root string) (Kernel, error) {
	return findFlavour(root, func(release string) bool {
		before, ok := strings.CutSuffix(release, "-amd64")
		// Flavours are named before the architecture: 6.1.0-9-rt-amd64.
		return ok && before != "" && strings.ContainsRune("0123456789", rune(before[len(before)-1]))
	}, ErrNoGenericKernel)
}

func findFlavour(root string, is func(release string) bool, none error) (Kernel, error) {
	images, err := filepath.Glob(filepath.Join(root, "boot", "vmlinuz-*"))
	if err != nil {
		return Kernel{}, fmt.Errorf("find kernel: %w", err)
	}
	var best Kernel
	for _, image := range images {
		release := strings.TrimPrefix(filepath.Base(image), "vmlinuz-")
		if !is(release) {
			continue
		}
		modules := filepath.Join(root, "lib", "modules", release)
		if _, err := os.Stat(filepath.Join(modules, "modules.dep")); err != nil {
			continue // removed, but its image was left
		}
		if compareReleases(release, best.Release) > 0 {
			best = Kernel{Release: release, Image: image, Modules: modules}
		}
	}
	if best.Image == "" {
		return Kernel{}, none
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
