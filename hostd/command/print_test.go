package command

import (
	"testing"
	"time"
)

func TestAmount(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 10 << 10: "10 KiB", 999 << 10: "999 KiB", 1000 << 10: "1.0 MiB",
		1 << 30: "1.0 GiB", 1<<64 - 1: "16384 PiB",
	} {
		if got := amount(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 ms", 4200 * time.Microsecond: "4.2 ms", 1500 * time.Millisecond: "1.5s", 90 * time.Second: "1m 30s",
		3*time.Hour + 5*time.Minute: "3h 05m", 50 * time.Hour: "2d 02h",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: %q, want %q", int64(d), got, want)
		}
	}
}

func TestPrintable(t *testing.T) {
	if got := printable("a\x1b[2J\nb\u009bü"); got != "a?[2J?b?ü" {
		t.Errorf("%q", got)
	}
}
