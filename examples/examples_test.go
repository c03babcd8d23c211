// Package examples runs the examples, as far as they need no libvirtd: the others
// are run in integration.
package examples

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"headgate/integration/rig"
)

// hostd is the program, built for the tests.
var hostd string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "examples")
	if err == nil {
		hostd = filepath.Join(dir, "hostd")
		err = rig.Build(context.Background(), "hostd", hostd)
	}
	code := 1
	if err == nil {
		code = m.Run()
	} else {
		fmt.Fprintln(os.Stderr, err)
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// run runs a program that must succeed and be silent on stderr.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil || errs.Len() > 0 {
		t.Fatalf("%s %.200q: %v\n%s", name, args, err, errs.String())
	}
	return string(out)
}

func TestScripts(t *testing.T) {
	var scripts []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !strings.HasPrefix(read(t, path), "#!/bin/sh\n") {
			return err
		}
		scripts = append(scripts, path)
		run(t, "sh", "-n", path)
		info, err := d.Info()
		if err == nil && info.Mode()&0o111 == 0 {
			t.Errorf("%s cannot be run", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(scripts)
	want := []string{
		"guest/dracut/90headgate/seed.sh", "guest/headgate-reseed",
		"guest/initramfs-tools/hooks/headgate", "guest/initramfs-tools/scripts/init-top/headgate",
		"guest/reseed.d/50-nginx-tickets", "guest/reseed.d/60-restart", "kvm/vhost-user", "libvirt/hooks/qemu.d/headgate",
		"openstack/headgate-nova", "xen/headgate-create", "xen/xapi.d/vm-pre-start/10headgate",
	}
	if !slices.Equal(scripts, want) {
		t.Errorf("the scripts are %q, and not %q", scripts, want)
	}
}
