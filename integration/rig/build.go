//go:build linux

package rig

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// modulePath is what import paths of this module start with.
const modulePath = "headgate"

// Build builds a program of this module as it is shipped, static and stripped,
// to the file out. The package is named as from the module's root ("hostd"); it
// must run somewhere inside the module.
func Build(ctx context.Context, pkg, out string) error { return build(ctx, pkg, out) }

// BuildWith is Build with one more file in the package, which is as it is shipped but
// for that: source is where the file is, and its name there what it is called here, less
// a suffix ".txt".
func BuildWith(ctx context.Context, pkg, out, source string) error {
	list := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", modulePath+"/"+pkg)
	dir, err := list.Output()
	if err != nil {
		return fmt.Errorf("find %s: %w", pkg, err)
	}
	if source, err = filepath.Abs(source); err != nil {
		return err
	}
	// go help build, -overlay.
	name := strings.TrimSuffix(filepath.Base(source), ".txt")
	overlay, err := json.Marshal(map[string]map[string]string{
		"Replace": {filepath.Join(strings.TrimSpace(string(dir)), name): source},
	})
	if err != nil {
		return err
	}
	file := out + ".overlay.json"
	if err := os.WriteFile(file, overlay, 0o644); err != nil {
		return err
	}
	defer os.Remove(file)
	return build(ctx, pkg, out, "-overlay", file)
}

func build(ctx context.Context, pkg, out string, flags ...string) error {
	args := append([]string{"build", "-trimpath", "-ldflags", "-s -w", "-o", out}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, modulePath+"/"+pkg)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, text)
	}
	return nil
}

// Programs are the daemons as they are shipped.
type Programs struct {
	Hostd, Guestd string // paths
}

// BuildPrograms builds the daemons into dir.
func BuildPrograms(ctx context.Context, dir string) (Programs, error) {
	p := Programs{Hostd: filepath.Join(dir, "hostd"), Guestd: filepath.Join(dir, "guestd")}
	if err := Build(ctx, "hostd", p.Hostd); err != nil {
		return p, err
	}
	return p, Build(ctx, "guestd", p.Guestd)
}
