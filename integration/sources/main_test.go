//go:build linux

package sources

import (
	"context"
	"flag"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"headgate/integration/rig"
)

var whole = flag.Bool("whole", false, "measure each kind of source for longer, and capture a restart matrix of the jitter source")

// shared is the folder of what the tests of this run build once.
var shared string

const buildLimit = 5 * time.Minute

func TestMain(m *testing.M) { rig.Main(m, &shared) }

var buildHostd = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), buildLimit)
	defer cancel()
	out := filepath.Join(shared, "hostd")
	return out, rig.Build(ctx, "hostd", out)
})

// hostd returns the program under test.
func hostd(t *testing.T) string {
	t.Helper()
	path, err := buildHostd()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
