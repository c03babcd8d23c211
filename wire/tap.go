package wire

import "context"

// Strength is the most that bytes of a deterministic generator can be claimed to be
// worth, in bits, however many they are: the security strength of SP 800-90A's
// CTR_DRBG with AES-256 (Rev.1, Table 3).
const Strength = 256

// Graded is a Tap that may give bytes of two qualities: of full entropy, worth 8 bits
// each, or of a deterministic generator, worth at most Strength bits together. One
// call never mixes them. A Tap that is not Graded gives full entropy alone.
//
// A protocol that tells the guest what its bytes are worth has to ask for it.
type Graded interface {
	Tap

	// TryReadGraded is TryRead, and says whether what it gave has full entropy.
	TryReadGraded(p []byte) (n int, full bool)

	// ReadGraded is ReadContext, and says whether what it gave has full entropy.
	ReadGraded(ctx context.Context, p []byte) (n int, full bool, err error)
}
