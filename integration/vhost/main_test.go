//go:build linux

package vhost

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"headgate/integration/rig"
)

// shared is the folder of what the tests of this run build once.
var shared string

const buildLimit = 5 * time.Minute

func TestMain(m *testing.M) { rig.Main(m, &shared) }

var buildHostd = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), buildLimit)
	defer cancel()
	programs, err := rig.BuildPrograms(ctx, shared)
	return programs.Hostd, err
})

// hostd is the path of the daemon under test.
func hostd(t *testing.T) string {
	t.Helper()
	path, err := buildHostd()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// images builds the guest's kernel and initramfs once, with a shell in it.
var images struct {
	once  sync.Once
	image *rig.Image
	err   error
}

func image(t *testing.T) *rig.Image {
	t.Helper()
	rig.Need(t)
	busybox := rig.Tool(t, "busybox", "busybox-static")
	images.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), buildLimit)
		defer cancel()
		images.image, images.err = rig.NewImage(ctx, shared, map[string]string{"busybox": busybox})
	})
	if images.err != nil {
		t.Fatal(images.err)
	}
	return images.image
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

# A guest's request is of 64 bytes: each waits for half a second.
[[class]]
name = "slow"
rate = "128B/s"
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
