//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"headgate/integration/rig"
	"headgate/integration/rig/job"

	"golang.org/x/sync/errgroup"
)

// beside are packages whose libraries or programs the peers and their measurement
// need, and which a machine with Debian need not have.
var beside = []string{"strace", "libunwind8", "libhavege2", "libcrypto++8", "libgcrypt20", "libgpg-error0", "zlib1g", "liblzma5"}

// bench has what all the rows need.
type bench struct {
	dir            string
	cloud, generic *rig.Image
	versions       map[string]string // of Debian's packages
	hostd          *rig.Daemon
}

// row is what was measured of one peer.
type row struct {
	peer    peer
	credit  credit
	clones  clones
	trouble error // why it could not be measured
}

const wholeLimit = 15 * time.Minute

// prepare downloads the peers, builds what is ours, and starts a hostd for guestd.
func prepare(ctx context.Context, dir string, list []peer) (*bench, error) {
	root := filepath.Join(dir, "root")
	if err := os.Mkdir(root, 0o700); err != nil {
		return nil, err
	}
	packages := append([]string{}, beside...)
	for _, p := range peers {
		if p.debian != "" {
			packages = append(packages, p.debian)
		}
	}
	b := &bench{dir: dir}
	var err error
	if b.versions, err = rig.Unpack(ctx, root, packages...); err != nil {
		return nil, err
	}
	programs, err := rig.BuildPrograms(ctx, dir)
	if err != nil {
		return nil, err
	}
	files, err := contents(ctx, programs, root, dir)
	if err != nil {
		return nil, err
	}
	for _, k := range []struct {
		image **rig.Image
		name  string
		find  func() (rig.Kernel, error)
	}{{&b.cloud, "cloud", rig.FindKernel}, {&b.generic, "generic", rig.FindGenericKernel}} {
		kernel, err := k.find()
		if err != nil {
			return nil, err
		}
		in := filepath.Join(dir, k.name)
		if err := os.Mkdir(in, 0o700); err != nil {
			return nil, err
		}
		if *k.image, err = rig.NewImageOf(ctx, kernel, in, files); err != nil {
			return nil, err
		}
	}
	if b.hostd, err = rig.NewDaemon(dir, programs.Hostd, b.hostdConfig(list)); err != nil {
		return nil, err
	}
	b.hostd.Limit = wholeLimit
	return b, b.hostd.Start(ctx)
}

func (b *bench) close() { b.hostd.Close() }

// Each guest has a name of its own, by the peer and by what it is there for.
const (
	asFresh    = "fresh"
	asOriginal = "original"
	asClone1   = "clone1"
	asClone2   = "clone2"
)

// hostdConfig has a port for each guest whose peer is guestd.
func (b *bench) hostdConfig(list []peer) string {
	text := rig.Sound
	for i, p := range list {
		if !p.port {
			continue
		}
		for _, as := range []string{asFresh, asOriginal, asClone1, asClone2} {
			c := b.config(i, p, as)
			text += fmt.Sprintf("[[guest]]\nname = %q\npipes = [%q]\n", c.Name, "port:"+c.Port)
		}
	}
	return text
}

// config is the guest of the i-th row. All are alike but for the kernel and vmgenid.
// Where hostd serves no port, nobody does.
func (b *bench) config(i int, p peer, as string) rig.Config {
	name := fmt.Sprintf("%d%s", i, as)
	path := filepath.Join(b.dir, name)
	c := rig.Config{Name: name, Dir: b.dir, Image: b.cloud, Port: path + ".port", Output: path + ".calls", Limit: 4 * time.Minute}
	if p.vmgenid {
		c.Image = b.generic
		c.VMGenID = "auto" // a new GUID for each QEMU
	}
	return c
}

// measure measures the rows. What fails is in the row: the others go on.
func (b *bench) measure(ctx context.Context, list []peer, atOnce int) ([]row, error) {
	aged, err := b.boot(ctx, b.config(len(list), peer{}, asOriginal))
	if err != nil {
		return nil, err
	}
	defer aged.guest.Close()
	rows := make([]row, len(list))
	for i, p := range list {
		rows[i].peer = p
		if p.vmgenid {
			continue // it gives no entropy
		}
		rows[i].note("in a fresh guest", func() (err error) {
			rows[i].credit, err = b.credit(ctx, i, p)
			return err
		})
	}
	for i, p := range list {
		if p.atOnce {
			rows[i].note("cloned", func() (err error) {
				rows[i].clones, err = b.cloneYoung(ctx, i, p)
				return err
			})
		}
	}
	if err := aged.save(ctx); err != nil {
		return nil, err
	}
	var g errgroup.Group
	g.SetLimit(max(atOnce, 1))
	for i, p := range list {
		if !p.atOnce {
			g.Go(func() error {
				rows[i].note("cloned", func() (err error) {
					rows[i].clones, err = b.cloneAged(ctx, i, p, aged)
					return err
				})
				return nil
			})
		}
	}
	return rows, g.Wait()
}

// note measures something of the row, unless something before has failed, and says
// what came of it.
func (r *row) note(what string, measure func() error) {
	if r.trouble != nil {
		return
	}
	begun := time.Now()
	text := ""
	if r.trouble = measure(); r.trouble != nil {
		text = r.trouble.Error()
	} else if what == "cloned" {
		text = r.clones.String()
	} else {
		text = r.credit.String()
	}
	fmt.Printf("%-23s %s: %s (%v)\n", r.peer.name, what, text, time.Since(begun).Round(time.Second))
}

// begin starts what a peer needs, and the peer.
func begin(ctx context.Context, g *rig.Guest, p peer, traced bool) error {
	if p.before != "" {
		// What stays behind must not keep the shell's output.
		_, err := ran(g.Run(ctx, 30*time.Second, "busybox", "sh", "-c", "exec >/run/before.log 2>&1\n"+p.before))
		if err != nil {
			return fmt.Errorf("start what %s needs: %w", p.name, err)
		}
	}
	if p.command == nil {
		return nil
	}
	command := p.command
	if traced {
		command = append(words("strace -f -qq -s 0 -e trace=ioctl -e signal=none --seccomp-bpf -o "+traceFile), command...)
	}
	_, err := g.Start(ctx, command...)
	return err
}

const traceFile = "/run/trace"

// ran is a program's output, or how it failed.
func ran(exit job.Exit, err error) (string, error) {
	if err != nil {
		return "", err
	}
	if exit.Code != 0 {
		return "", fmt.Errorf("exit %d %s\n%s%s", exit.Code, exit.Signal, exit.Stdout, exit.Stderr)
	}
	return exit.Stdout, nil
}
