//go:build linux

package guard

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"headgate/integration/need"
	"headgate/integration/rig"
)

// shared is the folder of what the tests of this run build once.
var shared string

func TestMain(m *testing.M) { rig.Main(m, &shared) }

// programs are those under test.
type programs struct {
	hostd  string // as it is shipped
	taken  string // the same with testdata/try.go.txt
	caller string // a source's command
}

var built = rig.Once(func(ctx context.Context) (p programs, err error) {
	in := func(name string) string { return filepath.Join(shared, name) }
	p = programs{hostd: in("hostd"), taken: in("taken"), caller: in("caller")}
	// The user that a source's command runs as has to get at it, and nobody at hostd.
	if err := os.Chmod(shared, 0o755); err != nil {
		return p, err
	}
	if err := rig.Build(ctx, "hostd", p.hostd); err != nil {
		return p, err
	}
	if err := rig.BuildWith(ctx, "hostd", p.taken, "testdata/try.go.txt"); err != nil {
		return p, err
	}
	return p, rig.Build(ctx, "integration/guard/caller", p.caller)
})

// needed ends the test where no guard can be, and else returns the programs.
func needed(t *testing.T) programs {
	t.Helper()
	need.Root(t, "the guard needs CAP_BPF and CAP_NET_ADMIN, and a control group of its own")
	if _, err := cgroupMount(); err != nil {
		need.Unmet(t, err)
	}
	return built(t)
}

const (
	require = "guard = \"require\"\n"
	off     = "guard = \"off\"\n"
)

// open is a class that a guest waits in for nothing but its bytes.
const open = `
[[class]]
name = "open"
rate = "unlimited"
`

// guest is a [[guest]] of the configuration with one pipe.
func guest(name, kind, dir string) (text, socket string) {
	socket = filepath.Join(dir, name+"."+kind)
	return fmt.Sprintf("\n[[guest]]\nname = %q\nclass = \"open\"\npipes = [%q]\n", name, kind+":"+socket), socket
}
