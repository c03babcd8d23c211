//go:build linux

package clones

import (
	"context"
	"flag"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"headgate/integration/rig"
)

var whole = flag.Bool("whole", false, "every configuration, ten runs each, and watch for as long as it takes")

// shared is the folder of what the tests of this run build once.
var shared string

const buildLimit = 5 * time.Minute

func TestMain(m *testing.M) { rig.Main(m, &shared) }

// built is what is built of this module for the guests.
type built struct {
	rig.Programs
	spinner, nothing string
}

var buildAll = sync.OnceValues(func() (b built, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), buildLimit)
	defer cancel()
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

func builds(t *testing.T) built {
	t.Helper()
	rig.Tool(t, "gcc", "gcc libc6-dev")
	b, err := buildAll()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The kernels: Debian's cloud kernel has no driver for vmgenid, the generic one has.
const (
	cloud   = "cloud"
	generic = "generic"
)

var images = map[string]func() (*rig.Image, error){
	cloud:   sync.OnceValues(func() (*rig.Image, error) { return pack(cloud, rig.FindKernel) }),
	generic: sync.OnceValues(func() (*rig.Image, error) { return pack(generic, rig.FindGenericKernel) }),
}

func pack(name string, find func() (rig.Kernel, error)) (*rig.Image, error) {
	b, err := buildAll()
	if err != nil {
		return nil, err
	}
	kernel, err := find()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(shared, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), buildLimit)
	defer cancel()
	files := map[string]string{}
	if strace, err := exec.LookPath("strace"); err == nil && *whole {
		if files, err = rig.Libraries(nil, strace); err != nil {
			return nil, err
		}
		files["strace"] = strace
	}
	maps.Copy(files, map[string]string{"guestd": b.Guestd, "spinner": b.spinner, "nothing": b.nothing})
	return rig.NewImageOf(ctx, kernel, dir, files)
}

// image returns what a guest with this kernel boots.
func image(t *testing.T, kernel string) *rig.Image {
	t.Helper()
	if rig.Need(t); kernel == generic {
		rig.NeedGeneric(t)
	}
	builds(t)
	i, err := images[kernel]()
	if err != nil {
		t.Fatal(err)
	}
	return i
}
