//go:build linux

package rig

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestFindKernel(t *testing.T) {
	root := t.TempDir()
	if _, err := findKernel(root); !errors.Is(err, ErrNoKernel) {
		t.Errorf("empty root: %v", err)
	}
	for _, release := range []string{"6.1.0-9-cloud-amd64", "6.1.0-12-cloud-amd64", "6.1.0-40-cloud-amd64", "5.10.0-41-cloud-amd64"} {
		write(t, filepath.Join(root, "boot", "vmlinuz-"+release), "")
		if release != "6.1.0-40-cloud-amd64" { // its modules were removed
			write(t, filepath.Join(root, "lib/modules", release, "modules.dep"), "")
		}
	}
	write(t, filepath.Join(root, "boot", "vmlinuz-6.9.0-1-amd64"), "")
	got, err := findKernel(root)
	if err != nil || got.Release != "6.1.0-12-cloud-amd64" {
		t.Errorf("found %+v, %v", got, err)
	}
}

func TestResolve(t *testing.T) {
	k := Kernel{Release: "test", Modules: t.TempDir()}
	write(t, filepath.Join(k.Modules, "modules.dep"), strings.Join([]string{
		"kernel/a/virtio.ko:",
		"kernel/a/virtio_ring.ko: kernel/a/virtio.ko",
		"kernel/a/virtio_pci.ko.xz: kernel/a/virtio.ko kernel/a/virtio_ring.ko",
		"kernel/b/virtio-rng.ko: kernel/c/rng-core.ko kernel/a/virtio_ring.ko kernel/a/virtio.ko",
	}, "\n")+"\n")
	write(t, filepath.Join(k.Modules, "modules.builtin"), "kernel/c/rng-core.ko\n")

	order, err := k.Resolve("virtio_pci", "virtio-rng", "rng-core")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range order {
		names = append(names, m.Name)
	}
	want := []string{"virtio", "virtio_ring", "virtio_pci", "virtio_rng"}
	if !slices.Equal(names, want) {
		t.Errorf("order %v, want %v", names, want)
	}
	if _, err := k.Resolve("absent"); err == nil {
		t.Error("an unknown module is no error")
	}
}

func TestArchive(t *testing.T) {
	var out bytes.Buffer
	a := newArchive(&out)
	a.file("bin/x", 0o755, []byte("hello"))
	a.file("bin/y", 0o644, nil)
	a.link("bin/z", "x")
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	want := "070701" + "00000001" + "000041ed" + strings.Repeat("0", 16) + "00000001" + "00000000" + "00000000" +
		strings.Repeat("0", 32) + "00000004" + "00000000" + "bin\x00" + "\x00\x00"
	if got := out.String(); !strings.HasPrefix(got, want) {
		t.Errorf("first entry %q, want %q", got[:len(want)], want)
	}
	if !strings.Contains(out.String(), "070701"+"00000004"+"0000a1ff") {
		t.Error("no symbolic link")
	}
	if n := strings.Count(out.String(), "bin\x00"); n != 1 {
		t.Errorf("the folder is there %d times", n)
	}
	if !strings.HasSuffix(out.String(), "TRAILER!!!\x00\x00\x00\x00") || out.Len()%4 != 0 {
		t.Errorf("trailer: %d bytes, %q", out.Len(), out.Bytes()[out.Len()-16:])
	}
}

func TestTail(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	write(t, file, "a\r\nb\nc\n")
	if got := Tail(file, 2); got != "    b\n    c" {
		t.Errorf("got %q", got)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
