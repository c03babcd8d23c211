package command

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"headgate/integration/need"
)

// systemdRandomSeed is systemd's own program (systemd-random-seed(8)).
const systemdRandomSeed = "/usr/lib/systemd/systemd-random-seed"

// TestSystemdTakesTheSeed has systemd's own program load what was written, as it does
// at boot: it reads all of it and puts another in its place. The kernel here is not
// told to count it.
func TestSystemdTakesTheSeed(t *testing.T) {
	need.Root(t, "systemd-random-seed reads one fixed path, over which another is mounted")
	if _, err := os.Stat(systemdRandomSeed); err != nil {
		need.Unmet(t, "as root: apt-get install --no-install-recommends systemd")
	}
	r := newRig(t)
	root := makeImage(t, "etc/os-release=x")
	if code, _, errs := r.run(t, "seed", "--for", "web1", "--root", root); code != 0 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	folder := filepath.Join(root, seedFolder)
	ours, _ := fileOf(t, filepath.Join(folder, seedName))
	load := exec.CommandContext(t.Context(), "sh", "-c", `mkdir -p /`+seedFolder+` && mount --bind "$1" /`+seedFolder+` && exec `+systemdRandomSeed+` load`, "sh", folder)
	load.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS} // which makes all mounts private, too
	if said, err := load.CombinedOutput(); err != nil {
		t.Fatalf("systemd-random-seed load: %v: %s", err, said)
	}
	if next, mode := fileOf(t, filepath.Join(folder, seedName)); len(next) != len(ours) || bytes.Equal(next, ours) || mode != 0o600 {
		t.Errorf("systemd left %d bytes of mode %v, the same as before: %v", len(next), mode, bytes.Equal(next, ours))
	}
}
