//go:build linux

package main

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// guestd goes into every guest image, so it depends on this module, the standard
// library and golang.org/x/sys alone; and not on the parts of the library that
// would double its size.
func TestDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{.ImportPath}} {{.Standard}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	heavy := map[string]bool{"fmt": true, "net": true, "log/slog": true, "flag": true, "encoding/json": true, "context": true}
	for line := range strings.Lines(string(out)) {
		path, standard, _ := strings.Cut(strings.TrimSpace(line), " ")
		ours := strings.HasPrefix(path, "headgate/") && !strings.HasPrefix(path, "headgate/hostd")
		if standard != "true" && !ours && !strings.HasPrefix(path, "golang.org/x/sys/") {
			t.Errorf("guestd depends on %s", path)
		}
		if heavy[path] {
			t.Errorf("guestd links %s", path)
		}
	}
}

func TestBinaryIsSmallAndStatic(t *testing.T) {
	const most = 5 << 20 / 2 // 2.5 MiB
	for _, arch := range []string{"amd64", "arm64"} {
		bin := filepath.Join(t.TempDir(), "guestd")
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, ".")
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", arch, err, out)
		}
		info, err := os.Stat(bin)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes", arch, info.Size())
		if info.Size() > most {
			t.Errorf("%s: %d bytes, more than %d", arch, info.Size(), most)
		}
		f, err := elf.Open(bin)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range f.Progs {
			if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
				t.Errorf("%s: not static", arch)
			}
		}
		_ = f.Close()
	}
}
