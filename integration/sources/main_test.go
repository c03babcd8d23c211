//go:build linux

package sources

import (
	"context"
	"flag"
	"path/filepath"
	"testing"

	"headgate/integration/rig"
)

var whole = flag.Bool("whole", false, "measure each kind of source for longer, and capture a restart matrix of the jitter source")

// shared is the folder of what the tests of this run build once.
var shared string

func TestMain(m *testing.M) { rig.Main(m, &shared) }

// hostd is the program under test.
var hostd = rig.Once(func(ctx context.Context) (string, error) {
	out := filepath.Join(shared, "hostd")
	return out, rig.Build(ctx, "hostd", out)
})
