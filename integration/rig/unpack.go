package rig

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// Unpack downloads Debian packages and unpacks them under root, and returns their
// versions. It installs nothing and runs nothing of theirs: many of them would start
// a daemon.
func Unpack(ctx context.Context, root string, packages ...string) (map[string]string, error) {
	fetch := exec.CommandContext(ctx, "apt-get", append([]string{"download", "-q"}, packages...)...)
	fetch.Dir = root
	if text, err := fetch.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("download %s (apt-get update first, as root?): %w\n%s", strings.Join(packages, " "), err, text)
	}
	files, err := filepath.Glob(filepath.Join(root, "*.deb"))
	if err != nil {
		return nil, err
	}
	versions := map[string]string{}
	for _, file := range files {
		if text, err := exec.CommandContext(ctx, "dpkg-deb", "-x", file, root).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("unpack %s: %w\n%s", filepath.Base(file), err, text)
		}
		text, err := exec.CommandContext(ctx, "dpkg-deb", "--show", "--showformat=${Package} ${Version}", file).Output()
		if err != nil {
			return nil, fmt.Errorf("read the version of %s: %w", filepath.Base(file), err)
		}
		name, version, _ := strings.Cut(string(text), " ")
		versions[name] = version
	}
	return versions, nil
}
