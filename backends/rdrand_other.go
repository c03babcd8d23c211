//go:build !amd64 && !arm64

package backends

// Other processors may have something of the kind; their kernels offer it as a hwrng.
var (
	seedInstruction = instruction{"rdseed", hasRDSEED, nil}
	randInstruction = instruction{"rdrand", hasRDRAND, nil}
)

func hasRDSEED() bool { return false }
func hasRDRAND() bool { return false }
