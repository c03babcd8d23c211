package reservoir

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// Of CTR_DRBG with AES-256 (SP 800-90A Rev.1 §10.2.1, Table 3).
const (
	// SeedSize is seedlen in bytes: a key and a block. Without a derivation function
	// a seed has to have full entropy, as what Take gives has.
	SeedSize = keySize + aes.BlockSize

	// MaxGenerate is max_number_of_bits_per_request in bytes, 2^19 bits.
	MaxGenerate = 64 << 10

	// Strength is the security strength in bits: what a generator's output is worth
	// at most, however much of it there is.
	Strength = 256

	keySize = 32

	// maxRequests is the reseed_interval: how many requests one seed may serve.
	maxRequests = 1 << 48
)

var (
	errWiped     = errors.New("generate: the generator was wiped")
	errExhausted = errors.New("generate: the generator has to be reseeded first")
)

// DRBG is a CTR_DRBG with AES-256 and without a derivation function. Its methods may
// not be called at once.
//
// The state is on the heap: V and Key as the counter and the round keys of a key
// stream, made anew at each update, when the old one is wiped. Whoever holds a DRBG
// keeps the process's memory out of swap and core dumps.
type DRBG struct {
	stream   cipher.Stream // block i of it is Block_Encrypt(Key, V+1+i); nil: wiped
	requests uint64        // reseed_counter

	// temp is of use within an update alone. It is here and not on the stack
	// because what is handed to an interface's method would be allocated.
	temp [SeedSize]byte
}

// NewDRBG instantiates a generator (§10.2.1.3.1) from SeedSize bytes of full entropy,
// which remain the caller's, who clears them. A personalization string makes its
// output differ from another's even where the entropy does not; nil: none.
func NewDRBG(entropy, personalization *[SeedSize]byte) *DRBG {
	d := new(DRBG)
	var key [keySize]byte // Key and V begin as 0
	var v [aes.BlockSize]byte
	d.rekey(key[:], &v)
	d.seed(entropy, personalization)
	return d
}

// Reseed mixes SeedSize more bytes of full entropy in (§10.2.1.4.1). They remain the
// caller's, who clears them.
func (d *DRBG) Reseed(entropy *[SeedSize]byte) { d.seed(entropy, nil) }

// Generate fills p, at most MaxGenerate bytes (§10.2.1.5.1). The state that made them
// is gone when it returns, so that nobody who learns the next one can go back.
func (d *DRBG) Generate(p []byte) error { return d.generate(p, nil) }

// Wipe ends the generator (uninstantiate, §9.4) and leaves nothing of its state.
func (d *DRBG) Wipe() {
	wipe(d.stream)
	*d = DRBG{}
}

// seed mixes entropy and a string, nil for an empty one, into the state.
func (d *DRBG) seed(entropy, extra *[SeedSize]byte) {
	if d.stream == nil {
		return // a wiped one stays so: Generate says it
	}
	material := *entropy
	if extra != nil {
		subtle.XORBytes(material[:], material[:], extra[:])
	}
	d.update(&material)
	clear(material[:])
	d.requests = 1
}

// generate takes additional input, too, which NIST's vectors have and nobody else.
func (d *DRBG) generate(p []byte, additional *[SeedSize]byte) error {
	switch {
	case d.stream == nil:
		return errWiped
	case len(p) > MaxGenerate:
		return fmt.Errorf("generate %d bytes: at most %d in one request", len(p), MaxGenerate)
	case d.requests > maxRequests:
		return errExhausted
	}
	if additional != nil {
		d.update(additional)
	}
	clear(p)
	d.stream.XORKeyStream(p, p)
	if used := len(p) % aes.BlockSize; used > 0 { // the rest of the last block is dropped
		rest := d.temp[used:aes.BlockSize]
		d.stream.XORKeyStream(rest, rest)
		clear(rest)
	}
	d.update(additional)
	d.requests++
	return nil
}

// update is CTR_DRBG_Update (§10.2.1.2); nil stands for SeedSize zero bytes.
func (d *DRBG) update(provided *[SeedSize]byte) {
	if provided != nil {
		d.temp = *provided
	}
	d.stream.XORKeyStream(d.temp[:], d.temp[:])
	d.rekey(d.temp[:keySize], (*[aes.BlockSize]byte)(d.temp[keySize:]))
	clear(d.temp[:])
}

// rekey makes the key stream of a key and a V, which it leaves incremented, and wipes
// the one before.
func (d *DRBG) rekey(key []byte, v *[aes.BlockSize]byte) {
	low, carry := bits.Add64(binary.BigEndian.Uint64(v[8:]), 1, 0)
	binary.BigEndian.PutUint64(v[8:], low)
	binary.BigEndian.PutUint64(v[:8], binary.BigEndian.Uint64(v[:8])+carry)

	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // only for a key of another size
	}
	wipe(d.stream)
	d.stream = cipher.NewCTR(block, v[:])
	wipe(block) // the stream has round keys of its own
}
