//go:build linux

package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// modulePath is what import paths of this module start with.
const modulePath = "headgate"

// Build builds a program of this module as it is shipped, static and stripped,
// to the file out. The package is named as from the module's root ("hostd"); it
// must run somewhere inside the module.
func Build(ctx context.Context, pkg, out string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, modulePath+"/"+pkg)
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
