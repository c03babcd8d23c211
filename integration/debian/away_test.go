//go:build linux

package debian

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"headgate/integration/rig"
)

// away boots twice without a host, at the end of whose port nobody listens: with
// guestd in the initramfs and as a unit, and with neither.
func away(t *testing.T, dir string, img image) {
	// How long a key takes is chance.
	img.Parameters = "systemd.mask=ssh-host-keys.service systemd.mask=ssh.service "
	config := func(name string) rig.Config {
		return rig.Config{Name: name, Dir: dir, Port: filepath.Join(dir, "nobody"), Counted: true}
	}
	var with, without time.Duration
	t.Run("boots", func(t *testing.T) {
		// Side by side: their clocks are their own.
		t.Run("with guestd", func(t *testing.T) {
			t.Parallel()
			s := boot(t, config("away"), img.Disk)
			with = s.booted()
			said, err := s.KernelLog(s.ctx, "guestd: not seeded: ")
			if err != nil || len(said) != 1 {
				t.Errorf("the initramfs said %v, %v", said, err)
			}
			if unit := s.journal("guestd.service"); strings.Count(unit, "not seeded: ") != 1 {
				t.Errorf("guestd.service said:\n%s", unit)
			}
		})
		t.Run("without", func(t *testing.T) {
			t.Parallel()
			img := img
			img.Initrd = img.plain
			img.Parameters += "systemd.mask=guestd.service systemd.mask=headgate-reseed.path"
			without = boot(t, config("without"), img.Disk).booted()
		})
	})
	t.Logf("the boot takes %.2f s with guestd and no host, %.2f s without guestd: %+.2f s",
		with.Seconds(), without.Seconds(), (with - without).Seconds())
	if with-without > mostLater {
		t.Errorf("a host that is away makes the boot more than %s longer", mostLater)
	}
}
