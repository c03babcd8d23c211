//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"headgate/integration/rig"
)

// guestLimit is of a guest's whole life.
const guestLimit = 15 * time.Minute

// image is what all the guests boot: Debian's kernel, this program, and hostd with the
// configurations of idle.go.
func image(ctx context.Context, dir string) (*rig.Image, error) {
	files := map[string]string{}
	for name, pkg := range map[string]string{"drink": "integration/drink", "hostd": "hostd"} {
		files[name] = filepath.Join(dir, name)
		if err := rig.Build(ctx, pkg, files[name]); err != nil {
			return nil, err
		}
	}
	for _, mode := range modes {
		files[settings(mode)] = filepath.Join(dir, mode)
		if err := os.WriteFile(files[settings(mode)], []byte(configuration(mode)), 0o644); err != nil {
			return nil, err
		}
	}
	var err error
	if files["busybox"], err = exec.LookPath("busybox"); err != nil {
		return nil, fmt.Errorf("the guest wants a dd: %w; as root: apt-get install busybox-static", err)
	}
	kernel, err := rig.FindGenericKernel()
	if err != nil {
		return nil, err
	}
	return rig.NewImageOf(ctx, kernel, dir, files)
}

// machine is one way to run the guest.
type machine struct {
	what    string
	counted bool
	part    time.Duration // of a turn: it is that much slower
}

var (
	emulated = machine{what: "in a guest, emulated: on hardware the ratios are others", part: 1}
	counted  = machine{what: "in a guest by whose clock each instruction takes 2 ns: what is compared are their numbers", part: 5, counted: true}
)

// boot boots it.
func (m machine) boot(ctx context.Context, image *rig.Image, dir string) (*rig.Guest, error) {
	c := rig.Config{Name: "drink", Image: image, Dir: dir, RNG: rig.RNGBuiltin, Counted: m.counted, Limit: guestLimit}
	g, err := rig.Boot(ctx, c)
	if err != nil {
		return nil, err
	}
	// What fills the kernel's generator: before that it is not the one that others have.
	if err := g.Insmod(ctx, rig.ModuleRNG); err != nil {
		g.Close()
		return nil, err
	}
	return g, nil
}

// measure measures on Debian's kernel in the guest, by fentry and by kprobes: this program,
// there.
func (m machine) measure(ctx context.Context, g *rig.Guest, pairs int, each time.Duration) error {
	fmt.Println(m.what)
	for _, how := range []string{fentry, kprobe} {
		exit, err := g.Run(ctx, guestLimit, "drink", "-inside", how, "-pairs", fmt.Sprint(pairs), "-turn", (each / m.part).String())
		if err != nil {
			return err
		}
		if exit.Code != 0 {
			return fmt.Errorf("in the guest: %s", exit.Stderr)
		}
		var f figures
		if err := json.Unmarshal([]byte(exit.Stdout), &f); err != nil {
			return fmt.Errorf("in the guest: %w: %q", err, exit.Stdout)
		}
		fmt.Print(f.report())
	}
	return nil
}
