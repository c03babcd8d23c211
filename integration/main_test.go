//go:build linux

package integration

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"headgate/integration/rig"
)

// shared is the folder of what the tests of this run build once.
var shared string

const buildLimit = 5 * time.Minute

func TestMain(m *testing.M) { rig.Main(m, &shared) }

var buildPrograms = sync.OnceValues(func() (rig.Programs, error) {
	ctx, cancel := context.WithTimeout(context.Background(), buildLimit)
	defer cancel()
	return rig.BuildPrograms(ctx, shared)
})

var buildImage = sync.OnceValues(func() (*rig.Image, error) {
	programs, err := buildPrograms()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), buildLimit)
	defer cancel()
	return rig.NewImage(ctx, shared, map[string]string{"guestd": programs.Guestd})
})

// programs returns the daemons under test.
func programs(t *testing.T) rig.Programs {
	t.Helper()
	p, err := buildPrograms()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// image returns a guest's kernel and initramfs, with guestd in it.
func image(t *testing.T) *rig.Image {
	t.Helper()
	rig.Need(t)
	i, err := buildImage()
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// rates are the classes that the tests use.
const rates = `
[[class]]
name = "metered"
rate = "4KiB/s"
burst = "4KiB"

[[class]]
name = "open"
rate = "unlimited"
`

// guest is a [[guest]] of the configuration with one pipe.
func guest(name, class, kind, dir string) (text, socket string) {
	socket = filepath.Join(dir, name+"."+kind)
	return fmt.Sprintf("\n[[guest]]\nname = %q\nclass = %q\npipes = [%q]\n", name, class, kind+":"+socket), socket
}
