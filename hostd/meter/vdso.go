package meter

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"strings"

	"headgate/hostd/kernel"
)

// notes are what no figure shows.
func notes() []string {
	release := kernel.Release()
	var about string
	switch library := vdso(); {
	case library == nil:
		about = fmt.Sprintf("Linux 6.11 and later; whether this kernel, %s, has one, cannot be seen", release)
	case answers(library):
		about = fmt.Sprintf("this kernel, %s, has it: a program whose C library or runtime uses it drinks more than is shown", release)
	default:
		about = fmt.Sprintf("Linux 6.11 and later; this kernel, %s, has none", release)
	}
	return []string{"getrandom that the vDSO answers is not seen (" + about + ")"}
}

// vdso is the library that the kernel puts into every process (vdso(7)); nil if it
// cannot be read.
func vdso() []byte {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(maps)) {
		if !strings.HasSuffix(line, "[vdso]\n") {
			continue
		}
		var from, to int64
		if _, err := fmt.Sscanf(line, "%x-%x", &from, &to); err != nil || to-from > 1<<20 {
			return nil
		}
		memory, err := os.Open("/proc/self/mem")
		if err != nil {
			return nil
		}
		defer memory.Close()
		library := make([]byte, to-from)
		if _, err := memory.ReadAt(library, from); err != nil {
			return nil
		}
		return library
	}
	return nil
}

// answers is whether a vDSO has a getrandom: __vdso_getrandom on most processors,
// __kernel_getrandom on arm64 (arch/*/kernel/vdso/vdso.lds.S).
func answers(library []byte) bool {
	f, err := elf.NewFile(bytes.NewReader(library))
	if err != nil {
		return false
	}
	symbols, _ := f.DynamicSymbols()
	for _, s := range symbols {
		if s.Name == "__vdso_getrandom" || s.Name == "__kernel_getrandom" {
			return true
		}
	}
	return false
}
