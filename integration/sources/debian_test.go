//go:build linux

package sources

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"headgate/integration/need"
	"headgate/integration/rig"
)

const downloadLimit = time.Minute

// debian is what was unpacked of Debian's packages.
type debian struct {
	root     string
	versions map[string]string
}

// unpack unpacks packages that are not installed because they would start daemons:
// rng-tools5 its rngd, entropybroker nineteen of its own.
func unpack(t *testing.T, packages ...string) debian {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), downloadLimit)
	defer cancel()
	d := debian{root: t.TempDir()}
	var err error
	d.versions, err = rig.Unpack(ctx, d.root, packages...)
	if err != nil {
		need.Unmet(t, err)
	}
	return d
}

// command is a program of the packages, with their libraries.
func (d debian) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(d.root, program), args...)
	libraries := []string{"usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"}
	for i := range libraries {
		libraries[i] = filepath.Join(d.root, libraries[i])
	}
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+strings.Join(libraries, ":"))
	return cmd
}
