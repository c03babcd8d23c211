//go:build linux

package rig

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// Where dom0 has what a domU boots.
const (
	domUKernel  = "/guest/vmlinux"
	domUInitrd  = "/guest/initrd"
	domUModules = "/guest/modules" // those for guestinit to insert, comma-separated
)

// testsProgram is the test program in dom0.
const testsProgram = "/bin/tests"

// channelQEMU is the QEMU that xl starts as the backend of channels, keymap what
// it does not start without.
const (
	channelQEMU = "/usr/libexec/xen-qemu-system-i386"
	keymap      = "/usr/share/qemu/keymaps/en-us"
)

// xenTools are the programs of the Xen version itself; storeTool is one program
// with many names.
var (
	xenTools   = []string{"xl", "xenstored", "xenconsoled", "xen-init-dom0", "libxl-save-helper"}
	storeTools = []string{"chmod", "exists", "list", "ls", "read", "rm", "watch", "write"}
)

const storeTool = "/usr/bin/xenstore"

var (
	// What dom0's kernel needs for its tools; virtio for the rig's own ports.
	dom0BootModules = []string{modulePCI, moduleConsole, "xen-privcmd", "xen-evtchn", "xen-gntdev", "xen-gntalloc", "xenfs"}
	domUBootModules = []string{"xen-evtchn", "xen-gntdev", "xen-gntalloc", "xenfs"}
)

// buildXen builds and packs everything that a machine with Xen boots into dir.
// tests is the test program, tree a folder whose files dom0 has at the same path.
func buildXen(ctx context.Context, dir, tests string, trees []string, helpers []Helper) (xenMachine, error) {
	in := func(name string) string { return filepath.Join(dir, name) }
	x := xenMachine{
		hypervisor: in("xen"), kernel: in("vmlinux"), initrd: in("initrd"),
		control: in("control"), output: in("output"), monitor: in("monitor"),
		serial: in("serial"), console: in("console"),
	}
	install, err := findXen("/")
	if err != nil {
		return x, err
	}
	hardware, err := FindGenericKernel()
	if err != nil {
		return x, err
	}
	cloud, err := FindKernel()
	if err != nil {
		return x, err
	}
	var programs Programs
	var built map[string]string
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return unpackXen(install, x.hypervisor) })
	g.Go(func() error { return unpackKernel(gctx, hardware, x.kernel) })
	g.Go(func() error { return unpackKernel(gctx, cloud, in("vmlinux.domU")) })
	g.Go(func() (err error) {
		// One after the other: each uses all processors.
		if err := Build(gctx, "integration/rig/guestinit", in("guestinit")); err != nil {
			return err
		}
		if programs, err = BuildPrograms(gctx, dir); err != nil {
			return err
		}
		built, err = buildHelpers(gctx, dir, helpers)
		return err
	})
	if err := g.Wait(); err != nil {
		return x, err
	}

	domU, err := domUContents(cloud, programs, built)
	if err != nil {
		return x, err
	}
	if err := pack(ctx, in("initrd.domU"), in("guestinit"), domU); err != nil {
		return x, fmt.Errorf("pack the domU's initramfs: %w", err)
	}
	dom0, err := dom0Contents(install, hardware, tests, trees)
	if err != nil {
		return x, err
	}
	maps.Copy(dom0.files, built)
	maps.Copy(dom0.files, map[string]string{
		"/bin/hostd": programs.Hostd, domUKernel: in("vmlinux.domU"), domUInitrd: in("initrd.domU"),
	})
	dom0.texts[domUModules] = strings.Join(names(domU.modules), ",")
	if x.boot, err = bootNames(hardware, dom0BootModules); err != nil {
		return x, err
	}
	if err := pack(ctx, x.initrd, in("guestinit"), dom0); err != nil {
		return x, fmt.Errorf("pack dom0's initramfs: %w", err)
	}
	return x, nil
}

func domUContents(k Kernel, programs Programs, built map[string]string) (contents, error) {
	c := contents{
		files: map[string]string{"/bin/guestd": programs.Guestd, storeTool: storeTool},
		links: storeLinks("/bin"),
	}
	needed, err := libraries(loaderDirs, []string{storeTool})
	if err != nil {
		return c, err
	}
	maps.Copy(c.files, needed)
	maps.Copy(c.files, built)
	busybox(&c)
	c.modules, err = k.Resolve(domUBootModules...)
	return c, err
}

// storeLinks are the names of the xenstore program in a folder.
func storeLinks(dir string) map[string]string {
	links := map[string]string{}
	for _, name := range storeTools {
		links[path.Join(dir, "xenstore-"+name)] = storeTool
	}
	return links
}

func dom0Contents(install xenInstall, k Kernel, tests string, trees []string) (contents, error) {
	c := contents{
		files: map[string]string{testsProgram: tests, storeTool: storeTool, channelQEMU: channelQEMU, keymap: keymap},
		texts: map[string]string{
			"/etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "/etc/group": "root:x:0:\n",
			// xl must not take memory from dom0 for a domU: there is enough beside it.
			"/etc/xen/xl.conf": "autoballoon=\"off\"\n",
		},
		links: storeLinks("/usr/bin"),
		dirs:  []string{"/root", "/var/lib/xen", "/var/lib/xenstored", "/var/log/xen/console"},
	}
	for _, name := range xenTools {
		at := filepath.Join(install.Tools, name)
		c.files[at] = at
		c.links[path.Join("/usr/sbin", name)] = at
	}
	c.links["/var/run"] = "/run"
	// glibc opens libgcc_s when a thread is cancelled, which xenconsoled and
	// xenstored's library do.
	var programs []string
	for _, file := range slices.Sorted(maps.Values(c.files)) {
		if file != keymap {
			programs = append(programs, file)
		}
	}
	needed, err := libraries(loaderDirs, programs, "libgcc_s.so.1")
	if err != nil {
		return c, err
	}
	maps.Copy(c.files, needed)
	for _, tree := range trees {
		if err := addTree(&c, tree); err != nil {
			return c, err
		}
	}
	busybox(&c)
	c.modules, err = k.Resolve(append(slices.Clone(dom0BootModules), ModuleRNG)...)
	return c, err
}

// addTree adds a folder at its own path.
func addTree(c *contents, root string) error {
	return filepath.WalkDir(root, func(file string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			c.files[file] = file
		}
		return err
	})
}

// busybox adds a shell and what goes with it, where nothing else has the name.
func busybox(c *contents) {
	file, err := exec.LookPath("busybox")
	if err != nil {
		return
	}
	list, err := exec.Command(file, "--list").Output()
	if err != nil {
		return
	}
	c.files["/bin/busybox"] = file
	for name := range strings.FieldsSeq(string(list)) {
		at := path.Join("/bin", name)
		if c.files[at] == "" {
			c.links[at] = "busybox"
		}
	}
}

func bootNames(k Kernel, modules []string) ([]string, error) {
	all, err := k.Resolve(modules...)
	return names(all), err
}

func names(modules []Module) []string {
	var list []string
	for _, m := range modules {
		list = append(list, m.Name)
	}
	return list
}
