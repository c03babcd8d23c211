//go:build linux

package rig

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"headgate/integration/rig/job"
)

// Modules of the guest. Those for the control port go in at boot; virtio-rng
// when a test says so.
const (
	ModuleRNG = "virtio_rng"

	modulePCI     = "virtio_pci"
	moduleConsole = "virtio_console"
)

// Image is what a guest boots: a kernel and an initramfs. It can be booted any
// number of times.
type Image struct {
	Kernel Kernel
	Initrd string
	boot   []string // modules that guestinit inserts before it opens its port
}

// NewImage packs an initramfs into dir: guestinit, the kernel's virtio modules,
// and the programs, which are given as host path by the name they get in the
// guest's /bin. ErrNoKernel where there is no kernel.
func NewImage(ctx context.Context, dir string, programs map[string]string) (*Image, error) {
	kernel, err := FindKernel()
	if err != nil {
		return nil, err
	}
	all, err := kernel.Resolve(modulePCI, moduleConsole, ModuleRNG)
	if err != nil {
		return nil, err
	}
	atBoot, err := kernel.Resolve(modulePCI, moduleConsole)
	if err != nil {
		return nil, err
	}
	initPath := filepath.Join(dir, "guestinit")
	if err := Build(ctx, "integration/rig/guestinit", initPath); err != nil {
		return nil, err
	}

	image := &Image{Kernel: kernel, Initrd: filepath.Join(dir, "initrd.cpio")}
	for _, m := range atBoot {
		image.boot = append(image.boot, m.Name)
	}
	if err := pack(ctx, image.Initrd, initPath, all, programs); err != nil {
		return nil, fmt.Errorf("pack %s: %w", image.Initrd, err)
	}
	return image, nil
}

// cmdline is the kernel's command line. It has nothing credited that the guest
// was not given by us, and lets guestinit write as often as it likes into the
// kernel's log.
func (i *Image) cmdline() string {
	return strings.Join([]string{
		"console=ttyS0", "quiet", "panic=-1", "printk.devkmsg=on",
		"random.trust_cpu=off", "random.trust_bootloader=off",
		job.BootModules + "=" + strings.Join(i.boot, ","),
	}, " ")
}

// Copy is the image in another folder, for an emulator that runs as another user:
// libvirt gives the files of a running domain to that user.
func (i *Image) Copy(dir string) (*Image, error) {
	c := *i
	c.Kernel.Image, c.Initrd = filepath.Join(dir, "vmlinuz"), filepath.Join(dir, "initrd")
	for from, to := range map[string]string{i.Kernel.Image: c.Kernel.Image, i.Initrd: c.Initrd} {
		data, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, data, 0o644)
		}
		if err != nil {
			return nil, fmt.Errorf("copy %s: %w", from, err)
		}
	}
	return &c, nil
}

func pack(ctx context.Context, out, initPath string, modules []Module, programs map[string]string) error {
	file, err := os.Create(out)
	if err != nil {
		return err
	}
	defer file.Close()
	buffered := bufio.NewWriter(file)
	a := newArchive(buffered)
	// The kernel opens /dev/console for PID 1 before anything is mounted.
	a.charDevice("dev/console", 0o600, 5, 1)
	if err := packFile(a, "init", initPath); err != nil {
		return err
	}
	for name, from := range programs {
		if err := packFile(a, path.Join("bin", name), from); err != nil {
			return err
		}
	}
	for _, m := range modules {
		data, err := m.Load(ctx)
		if err != nil {
			return err
		}
		a.file(strings.TrimPrefix(path.Join(job.ModuleDir, m.Name+".ko"), "/"), 0o644, data)
	}
	if err := a.close(); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	return file.Close()
}

func packFile(a *archive, name, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	a.file(name, 0o755, data)
	return nil
}
