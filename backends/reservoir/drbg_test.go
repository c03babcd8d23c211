package reservoir

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"fmt"
	"math/big"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

// textbook is CTR_DRBG word for word as SP 800-90A Rev.1 §10.2.1 has it: a block at a
// time, and V a number.
type textbook struct {
	key []byte
	v   *big.Int
}

func (n *textbook) block() []byte {
	n.v.Add(n.v, big.NewInt(1))
	n.v.Mod(n.v, new(big.Int).Lsh(big.NewInt(1), 128))
	b, _ := aes.NewCipher(n.key)
	out := make([]byte, 16)
	b.Encrypt(out, n.v.FillBytes(make([]byte, 16)))
	return out
}

func (n *textbook) update(provided []byte) {
	var temp []byte
	for len(temp) < SeedSize {
		temp = append(temp, n.block()...)
	}
	for i, b := range provided {
		temp[i] ^= b
	}
	n.key, n.v = temp[:32], new(big.Int).SetBytes(temp[32:])
}

func (n *textbook) generate(size int) (out []byte) {
	for len(out) < size {
		out = append(out, n.block()...)
	}
	n.update(make([]byte, SeedSize))
	return out[:size]
}

// TestAgainstTextbook asks for any sizes in any order; NIST's vectors are all of one size.
func TestAgainstTextbook(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := func(name string) *[SeedSize]byte {
			return (*[SeedSize]byte)(rapid.SliceOfN(rapid.Byte(), SeedSize, SeedSize).Draw(t, name))
		}
		entropy, personal := seed("entropy"), seed("personalization")
		model := textbook{make([]byte, 32), new(big.Int)}
		material := make([]byte, SeedSize)
		for i := range material {
			material[i] = entropy[i] ^ personal[i]
		}
		model.update(material)
		d := NewDRBG(entropy, personal)
		for range rapid.IntRange(1, 8).Draw(t, "requests") {
			if rapid.Bool().Draw(t, "reseed") {
				more := seed("more")
				d.Reseed(more)
				model.update(more[:])
			}
			p := make([]byte, rapid.IntRange(0, 700).Draw(t, "size"))
			if err := d.Generate(p); err != nil {
				t.Fatal(err)
			}
			if want := model.generate(len(p)); !bytes.Equal(p, want) {
				t.Fatalf("%d bytes: %x, want %x", len(p), p, want)
			}
		}
	})
}

// The counter of V carries through all of its 128 bits.
func TestCounterCarries(t *testing.T) {
	for _, v := range []string{
		"00000000000000000000000000000000", "0000000000000000ffffffffffffffff",
		"fffffffffffffffffffffffffffffffe", "ffffffffffffffffffffffffffffffff",
	} {
		start, _ := hex.DecodeString(v)
		key := make([]byte, 32)
		model := textbook{key, new(big.Int).SetBytes(start)}
		d := &DRBG{requests: 1}
		d.rekey(key, (*[16]byte)(start))
		p := make([]byte, 50)
		if err := d.Generate(p); err != nil || !bytes.Equal(p, model.generate(50)) {
			t.Errorf("V = %s: wrong output, %v", v, err)
		}
	}
}

func TestGenerateLimits(t *testing.T) {
	d := NewDRBG(new([SeedSize]byte), nil)
	if err := d.Generate(make([]byte, MaxGenerate)); err != nil {
		t.Error(err)
	}
	if d.Generate(make([]byte, MaxGenerate+1)) == nil {
		t.Error("more than the standard allows in one request")
	}
	d.requests = maxRequests
	if err := d.Generate(make([]byte, 1)); err != nil {
		t.Error("the last request that one seed may serve:", err)
	}
	p := make([]byte, 8)
	if err := d.Generate(p); err == nil || !bytes.Equal(p, make([]byte, 8)) {
		t.Error("a request beyond the reseed interval is served")
	}
	d.Reseed(new([SeedSize]byte))
	if err := d.Generate(p); err != nil {
		t.Error("after the reseed:", err)
	}
}

// bytesOf is the memory behind a cipher.
func bytesOf(t *testing.T, c any) []byte {
	at, size := memory(c)
	if at == nil {
		t.Fatalf("%T is not wiped any more: its memory is not understood", c)
	}
	return unsafe.Slice((*byte)(at), size)
}

// TestWipe looks at the memory itself: after each step, the key of the step before is
// nowhere in it.
func TestWipe(t *testing.T) {
	key := []byte("0123456789abcdefghijklmnopqrstuv")
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	stream := cipher.NewCTR(block, make([]byte, 16))
	for _, c := range []any{block, stream} {
		m := bytesOf(t, c)
		if bytes.Equal(m, make([]byte, len(m))) {
			t.Fatalf("this test cannot see into %T", c)
		}
		wipe(c)
		if !bytes.Equal(m, make([]byte, len(m))) {
			t.Errorf("the key stays in %T", c)
		}
	}
	wipe(nil)
	wipe(new(*int)) // has a pointer: left alone

	d := NewDRBG(new([SeedSize]byte), nil)
	for name, step := range map[string]func(){
		"generate": func() { _ = d.Generate(make([]byte, 100)) },
		"reseed":   func() { d.Reseed(new([SeedSize]byte)) },
	} {
		old := bytesOf(t, d.stream)
		step()
		if !bytes.Equal(old, make([]byte, len(old))) {
			t.Errorf("after %s the key before it is still there", name)
		}
		if d.temp != [SeedSize]byte{} {
			t.Errorf("after %s something stays in temp", name)
		}
	}
	last := bytesOf(t, d.stream)
	d.Wipe()
	if !bytes.Equal(last, make([]byte, len(last))) || d.requests != 0 {
		t.Error("the state outlives Wipe")
	}
	d.Reseed(new([SeedSize]byte))
	if d.Generate(make([]byte, 1)) == nil {
		t.Error("a wiped generator generates")
	}
	d.Wipe()
}

func TestGenerateAllocates(t *testing.T) {
	d, p := NewDRBG(new([SeedSize]byte), nil), make([]byte, 4096)
	if n := testing.AllocsPerRun(100, func() { _ = d.Generate(p) }); n > 4 {
		t.Errorf("%v allocations a generate", n)
	}
}

func BenchmarkGenerate(b *testing.B) {
	for _, size := range []int{64, 4096, MaxGenerate} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			d, p := NewDRBG(new([SeedSize]byte), nil), make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				_ = d.Generate(p)
			}
		})
	}
}
