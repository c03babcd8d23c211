//go:build linux

package vhost

import (
	"context"
	"fmt"
	"os/exec"
	"testing"

	"headgate/integration/rig"
)

// shared is the folder of what the tests of this run build once.
var shared string

func TestMain(m *testing.M) { rig.Main(m, &shared) }

var programs = rig.Once(func(ctx context.Context) (rig.Programs, error) { return rig.BuildPrograms(ctx, shared) })

// hostd is the path of the daemon under test.
func hostd(t *testing.T) string { return programs(t).Hostd }

var buildImage = rig.Once(func(ctx context.Context) (*rig.Image, error) {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return nil, err
	}
	return rig.NewImage(ctx, shared, map[string]string{"busybox": busybox})
})

// image is a guest's kernel and initramfs, with a shell in it.
func image(t *testing.T) *rig.Image {
	t.Helper()
	rig.Need(t)
	rig.Tool(t, "busybox", "busybox-static")
	return buildImage(t)
}

// classes are those of the guests: what a request has to wait for.
const classes = `
[[class]]
name = "open"
rate = "unlimited"

[[class]]
name = "metered"
rate = "4KiB/s"
burst = "4KiB"

[[class]]
name = "twenty"
rate = "20KiB/s"
burst = "20KiB"

# A guest's request is of 64 bytes: each waits for a second.
[[class]]
name = "slow"
rate = "64B/s"
burst = "64B"
`

// guest is a [[guest]] of the configuration with one pipe.
func guest(name, class, path string, hostdListens bool) string {
	pipe := "vhost-user:" + path
	if hostdListens {
		pipe += ",server=on"
	}
	return fmt.Sprintf("\n[[guest]]\nname = %q\nclass = %q\npipes = [%q]\n", name, class, pipe)
}
