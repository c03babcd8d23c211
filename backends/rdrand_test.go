package backends

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
)

var instructions = map[string]func(Config) Source{"rdseed": newRDSEED, "rdrand": newRDRAND}

// TestInstructions reads what this processor has: a broken one repeats itself.
func TestInstructions(t *testing.T) {
	for name := range instructions {
		t.Run(name, func(t *testing.T) {
			stream, info, err := build(t, Config{Type: name}).Open()
			if err != nil {
				t.Skip(err)
			}
			defer stream.Close()
			t.Logf("%+v", info)
			if want := name == "rdseed"; info.Origin != originCPU || info.Credited != want || (info.Noise == Physical) != want {
				t.Errorf("%+v", info)
			}
			p := make([]byte, 8192)
			_, err = io.ReadFull(stream, p)
			check(t, err)
			seen := map[[8]byte]bool{}
			for i := 0; i < len(p); i += 8 {
				seen[[8]byte(p[i:])] = true
			}
			if len(seen) != len(p)/8 { // of 1,024 values two are equal once in 2^45 tries
				t.Errorf("%d different values of %d", len(seen), len(p)/8)
			}
			for b := range byte(255) {
				if n := bytes.Count(p, []byte{b}); n == 0 || n > 100 { // 32 are expected
					t.Errorf("byte %#02x comes %d times", b, n)
				}
			}
		})
	}
}

func TestInstructionMissing(t *testing.T) {
	for name, make := range instructions {
		s := make(Config{Type: name}).(cpuSource)
		s.has = func() bool { return false }
		_, _, err := s.Open()
		if err == nil || !strings.Contains(err.Error(), "processor has no such instruction") || !strings.Contains(err.Error(), s.mnemonic) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// counted is an instruction that gives n values, 1 0 0 0 0 0 0 0 each, and runs dry.
func counted(n int) *cpuStream {
	return &cpuStream{instruction: instruction{mnemonic: "TEST", value: func(int) (uint64, bool) {
		n--
		return 0x0101010101010101, n >= 0
	}}}
}

func TestInstructionRunsDry(t *testing.T) {
	p := make([]byte, 64)
	s := counted(3)
	if n, err := s.Read(p[:13]); n != 13 || err != nil { // the rest of the second value is dropped
		t.Fatalf("%d, %v", n, err)
	}
	if n, err := s.Read(p); n != 8 || err != nil || bytes.Count(p, []byte{1}) != 13 {
		t.Fatalf("%d, %v: % x", n, err, p)
	}
	if n, err := s.Read(p); n != 0 || err == nil || !strings.Contains(err.Error(), "read TEST: the processor gives no value") {
		t.Fatalf("%d, %v", n, err)
	}
	if n, err := s.Read(nil); n != 0 || err != nil {
		t.Fatalf("nothing asked for: %d, %v", n, err)
	}
}

// TestInstructionCloseDuringRead leaves nothing of the read that Close ended.
func TestInstructionCloseDuringRead(t *testing.T) {
	s := counted(100)
	value := s.value
	s.value = func(tries int) (uint64, bool) {
		v, ok := value(tries)
		_ = s.Close()
		return v, ok
	}
	p := make([]byte, 64)
	if n, err := s.Read(p); n != 0 || !errors.Is(err, os.ErrClosed) || !bytes.Equal(p, make([]byte, 64)) {
		t.Errorf("%d, %v: % x", n, err, p)
	}
}

func BenchmarkInstructions(b *testing.B) {
	for name := range instructions {
		b.Run(name, func(b *testing.B) {
			stream, _, err := instructions[name](Config{Type: name}).Open()
			if err != nil {
				b.Skip(err)
			}
			p := make([]byte, 512)
			b.SetBytes(int64(len(p)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := io.ReadFull(stream, p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
