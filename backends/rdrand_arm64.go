package backends

import "golang.org/x/sys/unix"

// FEAT_RNG is optional since Armv8.5-A and has both registers. Both read a generator;
// RNDRRS has it reseeded from the true noise source before each value, RNDR when the
// implementation sees fit (Arm ARM, RNDRRS and RNDR, Random Number).
var (
	seedInstruction = instruction{"RNDRRS", hasRDSEED, rndrrs}
	randInstruction = instruction{"RNDR", hasRDRAND, rndr}
)

const (
	atHWCAP2  = 26      // AT_HWCAP2: include/uapi/linux/auxvec.h
	hwcap2RNG = 1 << 16 // HWCAP2_RNG: arch/arm64/include/uapi/asm/hwcap.h
)

// hasRNG tells what the kernel says: ID_AA64ISAR0_EL1 is its own to read, and a
// processor with cores of two kinds has what all of them have.
func hasRNG() bool {
	vector, err := unix.Auxv()
	if err != nil {
		return false
	}
	for _, entry := range vector {
		if entry[0] == atHWCAP2 {
			return entry[1]&hwcap2RNG != 0
		}
	}
	return false
}

func hasRDSEED() bool { return hasRNG() }
func hasRDRAND() bool { return hasRNG() }

//go:noescape
func rndrrs(tries int) (v uint64, ok bool)

//go:noescape
func rndr(tries int) (v uint64, ok bool)
