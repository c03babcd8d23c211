//go:build linux

package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ErrNoXen means that Debian's Xen or its tools are not on this machine.
var ErrNoXen = errors.New("no Xen with its tools in /boot and /usr/lib: install xen-system-amd64")

// xenInstall is a Xen as Debian installs it.
type xenInstall struct {
	Version string // 4.17
	Image   string // the hypervisor, compressed
	Tools   string // the folder of its programs
}

// findXen finds the Xen of the highest version that has its tools.
func findXen(root string) (xenInstall, error) {
	images, err := filepath.Glob(filepath.Join(root, "boot", "xen-*-amd64.gz"))
	if err != nil {
		return xenInstall{}, fmt.Errorf("find Xen: %w", err)
	}
	var best xenInstall
	for _, image := range images {
		version := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(image), "xen-"), "-amd64.gz")
		tools := filepath.Join(root, "usr/lib/xen-"+version, "bin")
		if _, err := os.Stat(filepath.Join(tools, "xl")); err != nil {
			continue
		}
		if compareReleases(version, best.Version) > 0 {
			best = xenInstall{Version: version, Image: image, Tools: tools}
		}
	}
	if best.Image == "" {
		return xenInstall{}, ErrNoXen
	}
	return best, nil
}

// unpackXen writes the hypervisor as QEMU's multiboot loader wants it.
func unpackXen(x xenInstall, out string) error {
	packed, err := os.ReadFile(x.Image)
	if err != nil {
		return err
	}
	plain, err := gunzip(packed)
	if err != nil {
		return fmt.Errorf("unpack %s: %w", x.Image, err)
	}
	return os.WriteFile(out, plain, 0o644)
}

// unpackKernel writes the ELF file inside a kernel image.
func unpackKernel(ctx context.Context, k Kernel, out string) error {
	plain, err := Vmlinux(ctx, k.Image)
	if err != nil {
		return err
	}
	return os.WriteFile(out, plain, 0o644)
}
