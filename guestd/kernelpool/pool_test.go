//go:build linux

package kernelpool

import (
	"bytes"
	"crypto/rand"
	"errors"
	"os"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The layout is the kernel's: two ints, then the bytes.
func TestLayout(t *testing.T) {
	var i randPoolInfo
	if unsafe.Offsetof(i.bufSize) != 4 || unsafe.Offsetof(i.buf) != 8 {
		t.Errorf("size at %d, bytes at %d", unsafe.Offsetof(i.bufSize), unsafe.Offsetof(i.buf))
	}
}

func TestAddRefusesImpossibleCredit(t *testing.T) {
	for _, bits := range []int{-1, 9} {
		if err := new(Pool).Add(make([]byte, 1), bits); !errors.Is(err, unix.EINVAL) {
			t.Errorf("%d bits for a byte: %v", bits, err)
		}
	}
}

// privileged says whether this process has CAP_SYS_ADMIN (bit 21, linux/capability.h).
func privileged(t *testing.T) bool {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "CapEff:\t")
	digit := strings.IndexByte("0123456789abcdef", rest[10]) // bits 23..20 of 64
	return digit&2 != 0
}

// The real pool of the machine that runs the test: mixing fresh random bytes of
// its own into it does no harm.
func TestRealPool(t *testing.T) {
	p, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	data := make([]byte, 2*chunk+1)
	_, _ = rand.Read(data)
	want := []error{nil, nil}
	if !privileged(t) {
		want = []error{ErrPermission, ErrPermission} // which is then what is tested
	}
	if err := p.Add(data, 0); !errors.Is(err, want[0]) {
		t.Errorf("add: %v, want %v", err, want[0])
	}
	if err := p.Reseed(); !errors.Is(err, want[1]) {
		t.Errorf("reseed: %v, want %v", err, want[1])
	}
	if len(bytes.Trim(p.info.buf[:], "\x00")) != 0 {
		t.Error("the bytes were not zeroed")
	}
}
