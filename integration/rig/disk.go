//go:build linux

package rig

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Disk is a system of its own, with its own kernel, initramfs and init. guestinit runs
// in it as a service: "guestinit serve".
type Disk struct {
	Kernel, Initrd string
	Image          string // of the root file system; nothing is written to it
	Parameters     string // of the kernel, beside those that the rig gives
}

// diskPatience is how long a whole system may take to boot until guestinit serves: half
// a minute on a quiet machine.
const diskPatience = 3 * time.Minute

// BootDisk is Boot for a disk. What the configuration says of the image is not used.
func BootDisk(ctx context.Context, c Config, d Disk) (*Guest, error) {
	begun := time.Now()
	c.Image = &Image{Kernel: Kernel{Image: d.Kernel}, Initrd: d.Initrd}
	g, err := start(ctx, c, []string{
		// The last -append counts. Mitigations take a quarter of an emulated boot.
		"-append", "root=/dev/vda rw console=ttyS0 quiet systemd.show_status=no panic=-1 mitigations=off " + fastBoot + " " +
			"random.trust_cpu=off random.trust_bootloader=off " + d.Parameters,
		"-drive", "if=virtio,format=raw,snapshot=on,file=" + option(d.Image),
	})
	if err != nil {
		return nil, fmt.Errorf("boot %s: %w", c.Name, err)
	}
	if err := hello(ctx, g.link, diskPatience); err != nil {
		g.end()
		return nil, fmt.Errorf("boot %s: %w; QEMU said:\n%s\nthe console:\n%s", c.Name, err, Tail(g.qemu.log, 10), Tail(g.Log, 40))
	}
	g.Booted = time.Since(begun)
	return g, nil
}

// Overlay writes a copy of an initramfs in which these texts, by their path, are in the
// place of what was there: executables, as scripts are.
func Overlay(initrd, out string, texts map[string]string) error {
	data, err := os.ReadFile(initrd)
	if err != nil {
		return err
	}
	var over bytes.Buffer
	a := newArchive(&over)
	for name, text := range texts {
		// Without the folders above: these are there.
		a.entry(strings.TrimPrefix(filepath.Clean(name), "/"), modeRegular|0o755, 0, 0, []byte(text))
	}
	if err := a.close(); err != nil {
		return err
	}
	// The kernel unpacks one archive after the other, each from a multiple of 4 on.
	return os.WriteFile(out, append(pad4(data), over.Bytes()...), 0o644)
}
