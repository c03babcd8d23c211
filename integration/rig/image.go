//go:build linux

package rig

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"headgate/integration/rig/job"
)

// Modules of the guest. Those for the control port go in at boot; the others when a
// test says so.
const (
	ModuleRNG   = "virtio_rng"
	ModuleNet   = "virtio_net"
	ModuleFWCfg = "qemu_fw_cfg"

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

// NewImage packs an initramfs for the cloud kernel into dir: guestinit, the kernel's
// virtio modules, and the programs, which are given as host path by the name they
// get in the guest's /bin. ErrNoKernel where there is no kernel.
func NewImage(ctx context.Context, dir string, programs map[string]string) (*Image, error) {
	kernel, err := FindKernel()
	if err != nil {
		return nil, err
	}
	return NewImageOf(ctx, kernel, dir, programs)
}

// NewImageOf is NewImage for another kernel. One folder has one image. A name that is
// a path from the root on is where the file gets.
func NewImageOf(ctx context.Context, kernel Kernel, dir string, programs map[string]string) (*Image, error) {
	all, err := kernel.Resolve(modulePCI, moduleConsole, ModuleRNG, ModuleNet, ModuleFWCfg)
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
	files := map[string]string{}
	for name, from := range programs {
		if !path.IsAbs(name) {
			name = path.Join("bin", name)
		}
		files[name] = from
	}
	if err := pack(ctx, image.Initrd, initPath, contents{modules: all, files: files}); err != nil {
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

// contents is what an initramfs holds beside guestinit.
type contents struct {
	modules []Module
	files   map[string]string // executable: the file here by its path in the guest
	texts   map[string]string // what is in a small file, by its path
	links   map[string]string // what a link names, by its path
	dirs    []string
}

func pack(ctx context.Context, out, initPath string, c contents) error {
	file, err := os.Create(out)
	if err != nil {
		return err
	}
	defer file.Close()
	buffered := bufio.NewWriterSize(file, 1<<20)
	a := newArchive(buffered)
	// The kernel opens /dev/console for PID 1 before anything is mounted.
	a.charDevice("dev/console", 0o600, 5, 1)
	if err := packFile(a, "init", initPath); err != nil {
		return err
	}
	for _, dir := range c.dirs {
		a.dir(rooted(dir))
	}
	for _, name := range slices.Sorted(maps.Keys(c.files)) {
		if err := packFile(a, rooted(name), c.files[name]); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.texts)) {
		a.file(rooted(name), 0o644, []byte(c.texts[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(c.links)) {
		a.link(rooted(name), c.links[name])
	}
	for _, m := range c.modules {
		data, err := m.Load(ctx)
		if err != nil {
			return err
		}
		a.file(rooted(path.Join(job.ModuleDir, m.Name+".ko")), 0o644, data)
	}
	if err := a.close(); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	return file.Close()
}

// rooted is a path as an archive has it: from the root on.
func rooted(name string) string { return strings.TrimPrefix(path.Clean(name), "/") }

func packFile(a *archive, name, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	a.file(name, 0o755, data)
	return nil
}
