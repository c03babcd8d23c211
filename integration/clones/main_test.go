//go:build linux

package clones

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"headgate/integration/rig"
)

var whole = flag.Bool("whole", false, "every configuration, ten runs each, and watch for as long as it takes")

// shared is the folder of what the tests of this run build once.
var shared string

func TestMain(m *testing.M) { rig.Main(m, &shared) }

// built is what is built of this module for the guests.
type built struct {
	rig.Programs
	spinner, nothing string
}

var buildAll = rig.Once(func(ctx context.Context) (b built, err error) {
	if b.Programs, err = rig.BuildPrograms(ctx, shared); err != nil {
		return b, err
	}
	b.nothing = filepath.Join(shared, "nothing")
	if err = rig.Build(ctx, "integration/clones/nothing", b.nothing); err != nil {
		return b, err
	}
	b.spinner = filepath.Join(shared, "spinner")
	return b, rig.BuildC(ctx, "spinner/spinner.c", b.spinner)
})

func builds(t testing.TB) built {
	t.Helper()
	rig.Tool(t, "gcc", "gcc libc6-dev")
	return buildAll(t)
}

// The kernels: Debian's cloud kernel has no driver for vmgenid, the generic one has.
const (
	cloud   = "cloud"
	generic = "generic"
)

var images = map[string]func(testing.TB) *rig.Image{
	cloud:   rig.Once(func(ctx context.Context) (*rig.Image, error) { return pack(ctx, cloud, rig.FindKernel) }),
	generic: rig.Once(func(ctx context.Context) (*rig.Image, error) { return pack(ctx, generic, rig.FindGenericKernel) }),
}

// pack makes an image of what builds has built.
func pack(ctx context.Context, name string, find func() (rig.Kernel, error)) (*rig.Image, error) {
	kernel, err := find()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(shared, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	files := map[string]string{}
	if strace, err := exec.LookPath("strace"); err == nil && *whole {
		if files, err = rig.Libraries(nil, strace); err != nil {
			return nil, err
		}
		files["strace"] = strace
	}
	for _, program := range []string{"guestd", "spinner", "nothing"} {
		files[program] = filepath.Join(shared, program)
	}
	return rig.NewImageOf(ctx, kernel, dir, files)
}

// image returns what a guest with this kernel boots.
func image(t *testing.T, kernel string) *rig.Image {
	t.Helper()
	if rig.Need(t); kernel == generic {
		rig.NeedGeneric(t)
	}
	builds(t)
	return images[kernel](t)
}
