//go:build linux

package rig

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestLibraries looks for what a program of this machine needs, and runs it in
// nothing but that.
func TestLibraries(t *testing.T) {
	program, err := filepath.EvalSymlinks("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	found, err := libraries(loaderDirs, []string{program, "/proc/self/exe"})
	if err != nil {
		t.Fatal(err)
	}
	for at, file := range found {
		if _, err := os.Stat(file); err != nil {
			t.Error(err)
		}
		if !strings.HasPrefix(at, libraryDir+"/") && !strings.HasPrefix(filepath.Base(at), "ld-") {
			t.Errorf("%s goes to %s", file, at)
		}
	}
	if found[filepath.Join(libraryDir, "libc.so.6")] == "" {
		t.Errorf("%s needs no libc: %v", program, found)
	}
	if _, err := libraries([]string{t.TempDir()}, []string{program}); err == nil || !strings.Contains(err.Error(), "libc.so.6") {
		t.Errorf("without any library: %v", err)
	}
	if _, err := libraries(loaderDirs, nil, "libabsent.so.1"); err == nil {
		t.Error("a library that is not there is no error")
	}
	if _, err := libraries(loaderDirs, []string{"libraries_test.go"}); err == nil {
		t.Error("a text is no program, and that is no error")
	}
}

func TestFindXen(t *testing.T) {
	root := t.TempDir()
	if _, err := findXen(root); err == nil {
		t.Error("an empty root has a Xen")
	}
	for _, version := range []string{"4.9", "4.17", "4.20"} {
		write(t, filepath.Join(root, "boot", "xen-"+version+"-amd64.gz"), "")
		if version != "4.20" { // its tools are not installed
			write(t, filepath.Join(root, "usr/lib/xen-"+version, "bin/xl"), "")
		}
	}
	got, err := findXen(root)
	if err != nil || got.Version != "4.17" || got.Tools != filepath.Join(root, "usr/lib/xen-4.17/bin") {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestFindGenericKernel(t *testing.T) {
	root := t.TempDir()
	for _, release := range []string{"6.1.0-9-amd64", "6.1.0-12-amd64", "6.1.0-40-cloud-amd64", "6.1.0-41-rt-amd64"} {
		write(t, filepath.Join(root, "boot", "vmlinuz-"+release), "")
		write(t, filepath.Join(root, "lib/modules", release, "modules.dep"), "")
	}
	got, err := findGenericKernel(root)
	if err != nil || got.Release != "6.1.0-12-amd64" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestXenCommandLine(t *testing.T) {
	args := xenMachine{kernel: "/tmp/a,b", initrd: "/tmp/c", boot: []string{"one", "two"}}.args()
	i := slices.Index(args, "-initrd")
	if i < 0 || !strings.HasPrefix(args[i+1], "/tmp/a,,b console=hvc0 ") || !strings.HasSuffix(args[i+1], "=one,,two,/tmp/c") {
		t.Errorf("the modules of Xen: %q", args[i+1])
	}
}
