//go:build linux

package integration

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"headgate/integration/rig"
)

// shared is the folder of what the tests of this run build once.
var shared string

func TestMain(m *testing.M) { rig.Main(m, &shared) }

// programs are the daemons under test.
var programs = rig.Once(func(ctx context.Context) (rig.Programs, error) { return rig.BuildPrograms(ctx, shared) })

var buildImage = rig.Once(func(ctx context.Context) (*rig.Image, error) {
	return rig.NewImage(ctx, shared, map[string]string{"guestd": filepath.Join(shared, "guestd")})
})

// image returns a guest's kernel and initramfs, with guestd in it.
func image(t *testing.T) *rig.Image {
	t.Helper()
	rig.Need(t)
	programs(t)
	return buildImage(t)
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
