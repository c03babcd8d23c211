//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"headgate/integration/load"
	"headgate/integration/rig"
)

const (
	limit    = 15 * time.Minute // of everything that is started
	patience = 10 * time.Second // for a server to be there
)

// supply is what hostd's reservoir gets, in conditioned bytes a second: enough for the
// seeds of the two guests' DRBGs, and little, so that its work is not in the figures.
const supply = 500

// bench has the guest, and everybody who serves one of its devices.
type bench struct {
	dir     string
	devices []device
	noise   *load.Noise
	hostd   *rig.Daemon
	guest   *rig.Guest
	peers   []*rig.Peer
	lacking error // why vhost-device-rng is not there
}

// prepare starts the servers, and the guest.
func prepare(ctx context.Context, hostd string) (b *bench, err error) {
	dir, err := os.MkdirTemp("", "queues")
	if err != nil {
		return nil, err
	}
	b = &bench{dir: dir}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	if err := b.serve(ctx, hostd); err != nil {
		return b, err
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return b, fmt.Errorf("the guest wants a shell: %w; as root: apt-get install busybox-static", err)
	}
	image, err := rig.NewImage(ctx, dir, map[string]string{"busybox": busybox})
	if err != nil {
		return b, err
	}
	if b.guest, err = rig.Boot(ctx, config(image, dir, filepath.Join(dir, "ours"), b.devices)); err != nil {
		return b, err
	}
	return b, b.guest.Insmod(ctx, rig.ModuleRNG)
}

// serve starts everybody who serves a device.
func (b *bench) serve(ctx context.Context, hostd string) error {
	path := func(name string) string { return filepath.Join(b.dir, name) }
	if err := b.startHostd(ctx, hostd, path("ours"), path("pipe")); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	fixed, err := b.start(ctx, path("fixed"), self, "-fixed", path("fixed"))
	if err != nil {
		return err
	}
	b.devices = []device{
		{name: ours, server: b.hostd, guest: "ours"},
		{name: builtin, qemu: emulated("builtin", "rng-builtin")},
		{name: random, qemu: emulated("random", "rng-random,filename=/dev/urandom")},
		{name: pipe, qemu: egd("pipe", path("pipe")), server: b.hostd, guest: "pipe"},
		{name: trivial, qemu: egd("fixed", path("fixed")), server: fixed},
	}
	program, err := vhostDevice(ctx)
	if err != nil {
		b.lacking = err
		return nil
	}
	// It puts a number behind the path that it is told.
	their, err := b.start(ctx, path("theirs0"), program, "--socket-path", path("theirs"), "--rng-source", "/dev/urandom")
	if err == nil {
		b.devices = append(b.devices, device{name: theirs, qemu: vhost("theirs", path("theirs0")), server: their})
	}
	return err
}

// startHostd starts one whose bytes nothing limits but how fast it gives them.
func (b *bench) startHostd(ctx context.Context, binary, queue, pipe string) error {
	if binary == "" {
		binary = filepath.Join(b.dir, "hostd")
		if err := rig.Build(ctx, "hostd", binary); err != nil {
			return err
		}
	}
	var err error
	if b.noise, err = load.StartNoise(ctx, filepath.Join(b.dir, "noise"), supply); err != nil {
		return err
	}
	text := b.noise.Source() + "[[class]]\nname = \"open\"\nrate = \"unlimited\"\nquality = \"drbg\"\n" +
		fmt.Sprintf("[[guest]]\nname = \"ours\"\nclass = \"open\"\npipes = [\"vhost-user:%s\"]\n", queue) +
		fmt.Sprintf("[[guest]]\nname = \"pipe\"\nclass = \"open\"\npipes = [\"qemu:%s\"]\n", pipe)
	if b.hostd, err = rig.NewDaemon(b.dir, binary, text); err != nil {
		return err
	}
	b.hostd.Limit = limit
	return b.hostd.Start(ctx)
}

// start starts a program, and returns when its socket is there.
func (b *bench) start(ctx context.Context, socket, program string, args ...string) (*rig.Peer, error) {
	p, err := rig.RunPeer(ctx, exec.Command(program, args...), socket+".log", limit)
	if err != nil {
		return nil, err
	}
	b.peers = append(b.peers, p)
	over := time.NewTimer(patience)
	defer over.Stop()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for {
		if _, err := os.Stat(socket); err == nil {
			return p, nil
		}
		select {
		case <-look.C:
			continue
		case <-p.Ended():
		case <-over.C:
		case <-ctx.Done():
		}
		return nil, fmt.Errorf("%s made no socket %s; the end of its log:\n%s", program, socket, rig.Tail(p.Log, 10))
	}
}

// close ends all of them, the guest first.
func (b *bench) close() {
	if b.guest != nil {
		b.guest.Close()
	}
	if b.hostd != nil {
		b.hostd.Close()
	}
	for _, p := range b.peers {
		p.Kill()
	}
	if b.noise != nil {
		b.noise.Close()
	}
	_ = os.RemoveAll(b.dir)
}
