package reservoir

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
)

// algorithms are what all that is handed out depends on.
type algorithms struct {
	sha512, sha384 func() hash.Hash
	drbg           func(entropy, personalization *[SeedSize]byte) generator
}

// generator is a DRBG, as its known-answer test sees it.
type generator interface {
	Reseed(entropy *[SeedSize]byte)
	Generate(p []byte) error
	Wipe()
}

var ours = algorithms{
	sha512: sha512.New,
	sha384: sha512.New384,
	drbg:   func(entropy, personalization *[SeedSize]byte) generator { return NewDRBG(entropy, personalization) },
}

// SelfTest computes what the answers are known of: SHA-512, which conditions, SHA-384,
// which personalizes, and the DRBG: instantiate, generate, reseed and uninstantiate
// (SP 800-90A Rev.1 §11.3). An error says that nothing may be given out. New calls it.
func SelfTest() error { return ours.test() }

func (a algorithms) test() error {
	for _, known := range knownAnswers {
		if err := known.of(a); err != nil {
			return fmt.Errorf("known-answer test of %s failed: %w: this machine computes wrongly, do not use it", known.name, err)
		}
	}
	return nil
}

var knownAnswers = []struct {
	name string
	of   func(algorithms) error
}{
	{"SHA-512", func(a algorithms) error {
		return digests(a.sha512(), map[string]string{
			"abc": "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" +
				"2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
			twoBlocks: "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018" +
				"501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909",
		})
	}},
	{"SHA-384", func(a algorithms) error {
		return digests(a.sha384(), map[string]string{
			"abc": "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
			twoBlocks: "09330c33f71147e83d192fc782cd1b4753111b173b3b05d22fa08086e3b0f712" +
				"fcc7c71a557e2db966c3e9fa91746039",
		})
	}},
	{"CTR_DRBG instantiate and generate", func(a algorithms) error { return noReseed.compute(a) }},
	{"CTR_DRBG reseed", func(a algorithms) error { return reseed.compute(a) }},
	{"CTR_DRBG limits and uninstantiate", refusals},
}

// twoBlocks is, as "abc" is, a message of the examples that NIST publishes with FIPS
// 180-4.
const twoBlocks = "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn" +
	"hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu"

var errAnswer = errors.New("the answer differs")

func digests(h hash.Hash, known map[string]string) error {
	for message, digest := range known {
		h.Reset()
		h.Write([]byte(message))
		if hex.EncodeToString(h.Sum(nil)) != digest {
			return errAnswer
		}
	}
	return nil
}

// answer is one of NIST's vectors for CTR_DRBG: the second of two outputs is known.
type answer struct{ entropy, personalization, reseed, returned string }

// The first with a personalization string and no additional input of [AES-256 no df] in
// CAVP's drbgvectors_no_reseed and drbgvectors_pr_false.
var noReseed = answer{
	entropy: "22a89ee0e37b54ea636863d9fed10821f1952a428488d528" +
		"eceb9d2ec69d573ec6216216fb3e8f72a148a5ada9d620b1",
	personalization: "953c10badcbcd45fb4e5475826477fc137ac96a49ad5005f" +
		"b14bdaf6468ae7f46c5d0de22d304afc67989615adc2e983",
	returned: "f7fab6a6fcf445f0a0434b2aa0c610bdef5489ecd95414634623add18a9f888b" +
		"ca6be151312d1b9e8f83bd0acad6234d3bccc11b63a40d6fbff448f67db0b91f",
}

var reseed = answer{
	entropy: "ffad10100025a879672ff50374b286712f457dd01441d76a" +
		"c1a1cd15c7390dd93179a2f5920d198bf34a1b76fbc21289",
	personalization: "1d2be6f25e88fa30c4ef42e4d54efd957dec231fa00143ca" +
		"47580be666a8c143a916c90b3819a0a7ea914e3c9a2e7a3f",
	reseed: "6c1a089cae313363bc76a780139eb4f2f2048b1f6b07896c" +
		"5c412bff0385440fc43b73facbb79e3a252fa01fe17ab391",
	returned: "e053c7d4bd9099ef6a99f190a5fd80219437d642006672338da6e0fe73ca4d24" +
		"ffa51151bfbdac78d8a2f6255046edf57a04626e9977139c6933274299f3bdff",
}

func (k answer) compute(a algorithms) error {
	d := a.drbg(seedOf(k.entropy), seedOf(k.personalization))
	defer d.Wipe()
	if k.reseed != "" {
		d.Reseed(seedOf(k.reseed))
	}
	var got [64]byte
	for range 2 {
		if err := d.Generate(got[:]); err != nil {
			return err
		}
	}
	if hex.EncodeToString(got[:]) != k.returned {
		return errAnswer
	}
	return nil
}

// seedOf decodes one of the strings above; a wrong one comes to a wrong answer.
func seedOf(digits string) *[SeedSize]byte {
	s := new([SeedSize]byte)
	_, _ = hex.Decode(s[:], []byte(digits))
	return s
}

// refusals tests what a generator has to refuse (§11.3.3, §11.3.5): a request that is
// too large, and all of them once it is wiped.
func refusals(a algorithms) error {
	d := a.drbg(new([SeedSize]byte), nil)
	p := make([]byte, MaxGenerate+1)
	if d.Generate(p) == nil || !bytes.Equal(p, make([]byte, len(p))) {
		return errors.New("a request that is too large is served")
	}
	d.Wipe()
	if d.Generate(p[:1]) == nil || p[0] != 0 {
		return errors.New("it goes on after it was wiped")
	}
	return nil
}
