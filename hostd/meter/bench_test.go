package meter

import (
	"testing"

	"golang.org/x/sys/unix"

	"headgate/hostd/probe"
)

// What the meter costs who drinks, beside a kernel that nobody looks at.

func BenchmarkGetrandom16(b *testing.B) {
	p := make([]byte, 16)
	metered(b, func() error { _, err := getrandom(&p[0], len(p), 0); return err })
}

func BenchmarkUrandom4K(b *testing.B) {
	fd, err := unix.Open("/dev/urandom", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Close(fd)
	p := make([]byte, 4096)
	metered(b, func() error { _, err := unix.Read(fd, p); return err })
}

func metered(b *testing.B, call func() error) {
	run := func(b *testing.B) {
		for b.Loop() {
			if err := call(); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("without", run)
	b.Run(probe.Fentry, func(b *testing.B) { attached(b, Options{}); run(b) })
	b.Run(probe.Kprobe, func(b *testing.B) { attached(b, Options{Kprobe: true}); run(b) })
}
