package vhost

import (
	"encoding/binary"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func ringable(t *testing.T) *bell {
	t.Helper()
	b := takeBell()
	if b == nil {
		t.Fatal("no asynchronous reads: see /proc/sys/fs/aio-nr and aio-max-nr")
	}
	t.Cleanup(b.give)
	return b
}

func ringer(t *testing.T, flags int) call {
	t.Helper()
	fd, err := unix.Eventfd(0, flags|unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return call(fd)
}

func counted(t *testing.T, c call) uint64 {
	t.Helper()
	var buf [8]byte
	if _, err := unix.Read(int(c), buf[:]); err != nil {
		t.Fatal(err)
	}
	return binary.NativeEndian.Uint64(buf[:])
}

// Each ring is a signal, however many there were before, and costs no memory.
func TestARingIsASignal(t *testing.T) {
	b, c := ringable(t), ringer(t, unix.EFD_NONBLOCK)
	const rings = 10_000
	if n := testing.AllocsPerRun(rings-1, func() {
		if !b.ring(c) {
			t.Fatal("not signalled")
		}
	}); n > 0 {
		t.Errorf("%v allocations a ring", n)
	}
	if n := counted(t, c); n != rings {
		t.Errorf("%d signals of %d rings", n, rings)
	}
}

// An eventfd that blocks, and is full, keeps nobody waiting.
func TestARingDoesNotWait(t *testing.T) {
	b, c := ringable(t), ringer(t, 0)
	full := binary.NativeEndian.AppendUint64(nil, 1<<64-2)
	if _, err := unix.Write(int(c), full); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		b.ring(c)
	}
	if n := counted(t, c); n < 1<<64-2 {
		t.Errorf("it counts %d", n)
	}
}

func TestWhatCannotBeRung(t *testing.T) {
	b := ringable(t)
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(null)
	if b.ring(call(null)) || b.ring(-1) || (*bell)(nil).ring(ringer(t, unix.EFD_NONBLOCK)) {
		t.Error("something was signalled")
	}
	if c := ringer(t, unix.EFD_NONBLOCK); !b.ring(c) || counted(t, c) != 1 {
		t.Error("nothing can be signalled after that")
	}
}

// An owner with whom each signal takes long is not signalled so that nothing else can be
// done meanwhile.
func TestASlowRingIsWritten(t *testing.T) {
	b, c := ringable(t), ringer(t, unix.EFD_NONBLOCK)
	b.slow = maxSlow - 1
	if !b.ring(c) || b.slow != 0 {
		t.Fatalf("%d after a quick ring", b.slow)
	}
	b.slow = maxSlow
	if b.ring(c) {
		t.Error("it rings on")
	}
	b.give()
	if b := takeBell(); b.slow != 0 {
		t.Error("who has it next is slow, too")
	}
}

// Bells are used again, so that connections that come and go have no more of them than
// there were at once.
func TestBellsAreKept(t *testing.T) {
	contexts := func() int {
		maps, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(maps), "[aio]")
	}
	first := ringable(t)
	before := contexts()
	if before == 0 {
		t.Fatal("a bell is not seen in the process's mappings")
	}
	takeBell().give()
	before = max(before, contexts())
	for range 100 {
		b := takeBell()
		if b == nil || b == first {
			t.Fatal("no bell, or one that somebody has")
		}
		b.give()
	}
	if after := contexts(); after != before {
		t.Errorf("%d mappings before, %d after", before, after)
	}
	(*bell)(nil).give()
}
