package reservoir

import (
	"crypto/sha512"
	"fmt"
	"hash"
)

const (
	// BlockSize is the number of bytes in one output block of the conditioner,
	// SHA-512 (FIPS 180-4), a vetted conditioning component (SP 800-90B
	// §3.1.5.1.1).
	BlockSize = 64

	// BlockEntropy is the min-entropy, in bits, that has to go into a block for
	// it to have full entropy: n_out + 64 (SP 800-90C, full-entropy output of a
	// vetted conditioning function).
	BlockEntropy = BlockSize*8 + 64
)

// credit is an amount of assessed min-entropy in units of 2^-32 bit. Scaling a
// float64 by a power of two is exact, so rounding happens in one place, down.
type credit int64

const (
	bit       credit = 1 << 32
	fullShare        = BlockEntropy * bit
)

// perSample converts an assessed min-entropy in bits per sample.
func perSample(h float64) (credit, error) {
	if !(h > 0 && h <= 8) { // written so that NaN is refused, too
		return 0, fmt.Errorf("min-entropy of %v bits per sample: must be above 0 and at most 8", h)
	}
	c := credit(h * float64(bit))
	if c == 0 {
		return 0, fmt.Errorf("min-entropy of %v bits per sample: too small to be counted", h)
	}
	return c, nil
}

// squeeze writes the digest into block, which has BlockSize bytes, and begins anew.
func squeeze(h hash.Hash, block []byte) {
	h.Sum(block[:0:BlockSize])
	scrub(h)
}

var zeros [sha512.BlockSize]byte

// scrub begins anew and leaves no trace of the samples in h: Reset alone keeps
// the bytes of the last, partial block in memory.
func scrub(h hash.Hash) {
	h.Reset()
	h.Write(zeros[1:])
	h.Write(zeros[:1])
	h.Reset()
}
