//go:build linux

package rig

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Helper is a program that tests use beside the daemons, as /bin/NAME.
type Helper struct {
	Name      string
	Source    string   // a package of this module, or a C file
	Libraries []string // of a C file, in the order in which they are linked
}

// build builds the program, static.
func (h Helper) build(ctx context.Context, out string) error {
	if strings.HasSuffix(h.Source, ".c") {
		return BuildC(ctx, h.Source, out, h.Libraries...)
	}
	return Build(ctx, h.Source, out)
}

// BuildC builds a C file with static libraries, so that it runs in any guest.
func BuildC(ctx context.Context, source, out string, libraries ...string) error {
	args := []string{"-O2", "-Wall", "-static", "-pthread", "-o", out, source}
	for _, l := range libraries {
		args = append(args, "-l"+l)
	}
	if text, err := exec.CommandContext(ctx, "gcc", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", source, err, text)
	}
	return nil
}

// buildHelpers builds into dir and returns the files by their paths in a guest.
func buildHelpers(ctx context.Context, dir string, helpers []Helper) (map[string]string, error) {
	files := map[string]string{}
	for _, h := range helpers {
		if _, err := os.Stat(h.Source); strings.HasSuffix(h.Source, ".c") && errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("build %s: %w", h.Name, err)
		}
		out := filepath.Join(dir, h.Name)
		if err := h.build(ctx, out); err != nil {
			return nil, err
		}
		files[filepath.Join("/bin", h.Name)] = out
	}
	return files, nil
}
