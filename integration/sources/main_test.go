//go:build linux

package sources

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"headgate/integration/rig"

	"go.uber.org/goleak"
)

var whole = flag.Bool("whole", false, "measure each kind of source for longer, and capture a restart matrix of the jitter source")

// shared is the folder of what the tests of this run build once.
var shared string

const buildLimit = 5 * time.Minute

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "sources")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	shared = dir
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

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

// within is the context of one test.
func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}
