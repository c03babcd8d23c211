package reservoir

import (
	"errors"
	"hash"
	"strings"
	"testing"
)

func TestSelfTest(t *testing.T) {
	if err := SelfTest(); err != nil {
		t.Error(err)
	}
}

// flawed is a DRBG with something wrong about it.
type flawed struct {
	*DRBG
	flaw string
}

func (f flawed) Reseed(entropy *[SeedSize]byte) {
	if f.flaw != "CTR_DRBG reseed" {
		f.DRBG.Reseed(entropy)
	}
}

func (f flawed) Generate(p []byte) error {
	if f.flaw == "CTR_DRBG limits" && len(p) > MaxGenerate {
		return nil
	}
	err := f.DRBG.Generate(p)
	if f.flaw == "CTR_DRBG instantiate" {
		p[len(p)-1] ^= 1
	}
	return err
}

func (f flawed) Wipe() {
	if f.flaw != "uninstantiate" {
		f.DRBG.Wipe()
	}
}

// Each test has to see what it is there for.
func TestSelfTestSees(t *testing.T) {
	for _, flaw := range []string{
		"SHA-512", "SHA-384", "CTR_DRBG instantiate", "CTR_DRBG reseed", "CTR_DRBG limits", "uninstantiate",
	} {
		a := ours
		switch flaw {
		case "SHA-512":
			a.sha512 = func() hash.Hash { return &tagger{} }
		case "SHA-384":
			a.sha384 = a.sha512
		default:
			a.drbg = func(entropy, personalization *[SeedSize]byte) generator {
				return flawed{NewDRBG(entropy, personalization), flaw}
			}
		}
		if err := a.test(); err == nil || !strings.Contains(err.Error(), flaw) || !strings.Contains(err.Error(), "do not use") {
			t.Errorf("%s is wrong, and the test says: %v", flaw, err)
		}
	}
}

// A personalization string that has no effect is the kind of mistake that no output
// shows.
func TestSelfTestSeesPersonalization(t *testing.T) {
	a := ours
	a.drbg = func(entropy, _ *[SeedSize]byte) generator { return NewDRBG(entropy, nil) }
	if a.test() == nil {
		t.Error("a generator without personalization passes")
	}
}

func TestNewNeedsTheSelfTest(t *testing.T) {
	wrong := errors.New("wrong")
	if r, err := newTested(Config{Size: 64}, func() error { return wrong }); !errors.Is(err, wrong) || r != nil {
		t.Errorf("a reservoir is made after a self-test that failed: %v", err)
	}
}

// It runs at every start: the bound is 1 ms.
func BenchmarkSelfTest(b *testing.B) {
	for b.Loop() {
		if err := SelfTest(); err != nil {
			b.Fatal(err)
		}
	}
}
