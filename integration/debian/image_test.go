//go:build linux

package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"headgate/integration/need"
	"headgate/integration/rig"
)

// packages are what a server's image has, beside what is essential.
const packages = "systemd,systemd-sysv,udev,dbus,openssh-server"

const imageLimit = 5 * time.Minute // it takes one on a quiet machine

// initTool is a tool that makes an initramfs: of Debian, or of most others.
type initTool struct {
	name, packages string
	hook           string // what seeds, in its initramfs
}

var (
	initramfsTools = initTool{"initramfs-tools", "initramfs-tools", "/scripts/init-top/headgate"}
	dracut         = initTool{"dracut", "dracut-core,zstd", "/lib/dracut/hooks/pre-udev/10-seed.sh"}
)

// wants ends the test where no image can be made.
func wants(t *testing.T) {
	t.Helper()
	rig.Need(t)
	rig.Tool(t, "mmdebstrap", "mmdebstrap")
	rig.Tool(t, "mke2fs", "e2fsprogs")
	rig.Tool(t, "make", "make")
	need.Root(t, "a system's files belong to many users")
}

// image is a sealed Debian. Without guestd's hook its initramfs is the same otherwise.
type image struct {
	rig.Disk
	plain string
}

// TestImage makes the image for the other tests, as make test does while it checks what
// needs no guest.
func TestImage(t *testing.T) {
	if *made == "" {
		t.Skip("the other tests make the image that they boot: -args -image says where to make it before")
	}
	unfinished := *made + ".new"
	if err := errors.Join(os.RemoveAll(unfinished), os.RemoveAll(*made), os.MkdirAll(unfinished, 0o755)); err != nil {
		t.Fatal(err)
	}
	makeImage(t, unfinished, initramfsTools)
	if err := os.Rename(unfinished, *made); err != nil {
		t.Fatal(err)
	}
}

// theImage takes what TestImage has made, or makes it in dir.
func theImage(t *testing.T, dir string) image {
	t.Helper()
	if _, err := os.Stat(*made); *made == "" || err != nil {
		return makeImage(t, dir, initramfsTools)
	}
	wants(t)
	return imageIn(t, *made)
}

// imageIn is the image in a folder.
func imageIn(t *testing.T, dir string) image {
	t.Helper()
	img := image{plain: filepath.Join(dir, "initrd.plain")}
	img.Image = filepath.Join(dir, "disk")
	img.Kernel, img.Initrd = only(t, dir, "vmlinuz-*"), only(t, dir, "initrd.img-*")
	return img
}

// makeImage makes one in a folder, as testdata/customize says.
func makeImage(t *testing.T, dir string, tool initTool) image {
	t.Helper()
	wants(t)
	ctx, cancel := context.WithTimeout(t.Context(), imageLimit)
	defer cancel()
	begun := time.Now()
	work := rig.Dir(t)
	root := filepath.Join(work, "root")
	guestinit := filepath.Join(work, "guestinit")
	if err := rig.Build(ctx, "integration/rig/guestinit", guestinit); err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	here = filepath.Join(here, "testdata")

	args := []string{
		"--quiet", "--mode=root", "--format=directory", "--variant=minbase",
		"--include=" + packages + "," + tool.packages + "," + *kernel,
		"--aptopt=" + aptOptions(ctx, t, work),
		"--dpkgopt=force-unsafe-io", "--dpkgopt=path-exclude=/usr/share/doc/*",
		"--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
		"--customize-hook=" + filepath.Join(here, "customize"),
		"bookworm", root,
	}
	cmd := exec.CommandContext(ctx, "mmdebstrap", append(args, sources(t)...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it cleans up
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = append(os.Environ(),
		"INITRD=No", // the kernel's package makes none: customize makes it
		"REPOSITORY="+filepath.Join(here, "..", "..", ".."), "HERE="+here, "GUESTINIT="+guestinit, "FLAVOUR="+tool.name)
	run(t, cmd)

	for _, pattern := range []string{"vmlinuz-*", "initrd.img-*"} {
		file := only(t, filepath.Join(root, "boot"), pattern)
		text, err := os.ReadFile(file)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(file)), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	img := imageIn(t, dir)
	if err := rig.Overlay(img.Initrd, img.plain, map[string]string{tool.hook: "#!/bin/sh\n"}); err != nil {
		t.Fatal(err)
	}
	run(t, exec.CommandContext(ctx, "mke2fs", "-q", "-t", "ext4", "-d", root, img.Image, "2G"))
	t.Logf("made a Debian with %s and %s in %.0f s", tool.name, filepath.Base(img.Kernel), time.Since(begun).Seconds())
	return img
}

// sources are this machine's own of apt: wherever Debian is taken from, it is from there.
func sources(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"sources.list", "sources.list.d/*.list", "sources.list.d/*.sources"} {
		found, err := filepath.Glob(filepath.Join("/etc/apt", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range found {
			if text, err := os.ReadFile(file); err == nil && bytes.Contains(text, []byte("bookworm")) {
				files = append(files, file)
			}
		}
	}
	if len(files) == 0 {
		t.Fatal("no source of Debian 12 (bookworm) in /etc/apt/sources.list or /etc/apt/sources.list.d")
	}
	return files
}

// aptOptions writes a file with how this machine reaches them.
func aptOptions(ctx context.Context, t *testing.T, dir string) string {
	t.Helper()
	all, err := exec.CommandContext(ctx, "apt-config", "dump", "--format", "%F \"%v\";%n", "Acquire").Output()
	if err != nil {
		t.Fatalf("apt-config: %v", err)
	}
	text := "Acquire::Languages \"none\";\n"
	for line := range strings.Lines(string(all)) {
		for _, of := range []string{"http", "https", "Check-"} {
			if strings.HasPrefix(line, "Acquire::"+of) {
				text += line
			}
		}
	}
	file := filepath.Join(dir, "apt.conf")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		text := said.Bytes()
		t.Fatalf("%s: %v\n%s", cmd.Args[0], err, text[max(0, len(text)-4000):])
	}
}

// only is the one file in a folder whose name is like this.
func only(t *testing.T, dir, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("%s: %w: %q", pattern, errors.New("not one file"), found)
	}
	if err != nil {
		t.Fatal(err)
	}
	return found[0]
}
