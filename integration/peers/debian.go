//go:build linux

package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// beside are packages whose libraries or programs the peers and their measurement
// need, and which a machine with Debian need not have.
var beside = []string{"strace", "libunwind8", "libhavege2", "libcrypto++8", "libgcrypt20", "libgpg-error0", "zlib1g", "liblzma5"}

// unpack downloads packages and unpacks them under root, and returns their versions.
// It installs nothing and runs nothing of theirs.
func unpack(ctx context.Context, root string, packages []string) (map[string]string, error) {
	fetch := exec.CommandContext(ctx, "apt-get", append([]string{"download", "-q"}, packages...)...)
	fetch.Dir = root
	if text, err := fetch.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("download Debian's packages of the peers (apt-get update first, as root?): %w\n%s", err, text)
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
