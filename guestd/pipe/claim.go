//go:build linux

package pipe

import (
	"os"
	"strconv"
	"strings"
)

// fullClaim is a claim of 8 bits a byte: claims, as the kernel's rng_quality, are
// in bits per 1024 bits.
const fullClaim = 1024

// claim says what /dev/hwrng is worth: the kernel's own rng_quality where it has
// one above 0, which is what the kernel's hwrng thread credits. A kernel without
// that file, or with 0, says nothing about the driver; virtio_rng then counts as
// full, because it carries what the host made for its guests (hostd conditions it
// to full entropy), and any other driver counts as nothing.
func (pl *Place) claim() int {
	if b, err := os.ReadFile(pl.Root + rngClass + "rng_quality"); err == nil {
		if q, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && q > 0 {
			return min(q, fullClaim)
		}
	}
	if b, _ := os.ReadFile(pl.Root + rngClass + "rng_current"); strings.HasPrefix(string(b), "virtio_rng") {
		return fullClaim
	}
	return 0
}

// noClaim is that of any other device, named on the command line.
func noClaim() int { return 0 }
