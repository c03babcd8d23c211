//go:build linux

package meter

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"headgate/integration/rig"
	"headgate/integration/rig/job"
)

// shared is the folder of what the tests of this run build once.
var shared string

func TestMain(m *testing.M) { rig.Main(m, &shared) }

// programs are the daemon under test, those that read, and the tests of the packages below
// it that want a kernel which lets itself be looked into.
type programs struct{ hostd, reader, bypass, meter, probe string }

var build = rig.Once(func(ctx context.Context) (programs, error) {
	in := func(name string) string { return filepath.Join(shared, name) }
	p := programs{in("hostd"), in("reader"), in("bypass"), in("meter.test"), in("probe.test")}
	return p, errors.Join(
		rig.Build(ctx, "hostd", p.hostd),
		rig.Build(ctx, "integration/meter/reader", p.reader),
		rig.Build(ctx, "integration/meter/bypass", p.bypass),
		buildTest(ctx, "hostd/meter", p.meter),
		buildTest(ctx, "hostd/probe", p.probe),
	)
})

// buildTest builds the tests of a package as a program, static.
func buildTest(ctx context.Context, pkg, out string) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-trimpath", "-ldflags", "-s -w", "-o", out, "headgate/"+pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the tests of %s: %w\n%s", pkg, err, text)
	}
	return nil
}

// modes are the values of "meter" in a configuration, with how the kernel's functions are
// seen then.
func modes() iter.Seq2[string, string] {
	return func(yield func(mode, how string) bool) {
		_ = yield("on", "fentry") && yield("kprobe", "kprobe")
	}
}

// modeFile is where the guest has such a configuration.
func modeFile(mode string) string { return "/etc/headgate/" + mode + ".toml" }

const settings = `guard = "require"

[libvirt]
follow = false

[[class]]
name = "open"
rate = "unlimited"

[[guest]]
name = "fed"
class = "open"
pipes = ["qemu:` + fedSocket + `"]
` + rig.Sound

// built is an image, and the modules in it beside the rig's own.
type built struct {
	*rig.Image
	modules []string
}

var buildImage = rig.Once(func(ctx context.Context) (built, error) {
	var b built
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return b, err
	}
	files := map[string]string{"busybox": busybox}
	for _, name := range []string{"hostd", "bypass", "meter.test", "probe.test"} {
		files[name] = filepath.Join(shared, name)
	}
	for _, r := range append(readers("", ""), library("", "")) {
		files[r.name] = filepath.Join(shared, "reader")
	}
	for mode := range modes() {
		file := filepath.Join(shared, mode+".toml")
		if err := os.WriteFile(file, []byte("meter = \""+mode+"\"\n"+settings), 0o644); err != nil {
			return b, err
		}
		files[modeFile(mode)] = file
	}
	// The kernel for hardware: that is what a host has.
	kernel, err := rig.FindGenericKernel()
	if err != nil {
		return b, err
	}
	modules, err := kernel.Resolve("9pnet_virtio", "9p")
	if err != nil {
		return b, err
	}
	for _, m := range modules {
		data, err := m.Load(ctx)
		if err != nil {
			return b, err
		}
		file := filepath.Join(shared, m.Name)
		if err := os.WriteFile(file, data, 0o644); err != nil {
			return b, err
		}
		files[filepath.Join(job.ModuleDir, m.Name+".ko")] = file
		b.modules = append(b.modules, m.Name)
	}
	b.Image, err = rig.NewImageOf(ctx, kernel, shared, files)
	return b, err
})

// image is a guest's kernel and initramfs, with hostd and the readers in it.
func image(t *testing.T) built {
	t.Helper()
	rig.NeedGeneric(t)
	rig.Tool(t, "busybox", "busybox-static")
	build(t)
	return buildImage(t)
}
