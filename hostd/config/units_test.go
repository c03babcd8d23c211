package config

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseSize(t *testing.T) {
	for _, c := range []struct {
		text string
		want Size // -1: refused
	}{
		{"0", 0}, {"64", 64}, {"64B", 64}, {"64KiB", 65536}, {"1 MiB", 1 << 20}, {"2GiB", 2 << 30},
		{"20kB", 20000}, {"20KB", 20000}, {"1MB", 1e6}, {"1GB", 1e9}, {" 1B ", 1},
		{"8589934591GiB", 8589934591 << 30},
		{"8589934592GiB", -1}, {"9223372036854775808", -1}, {"", -1}, {"KiB", -1}, {"-1", -1}, {"+1", -1},
		{"1.5KiB", -1}, {"1kib", -1}, {"1K", -1}, {"0x10", -1}, {"1_000", -1}, {"1B/s", -1}, {"unlimited", -1},
	} {
		got, err := ParseSize(c.text)
		if (err != nil) != (c.want < 0) || err == nil && got != c.want {
			t.Errorf("ParseSize(%q) = %d, %v, want %d", c.text, got, err, c.want)
		}
	}
}

func TestParseRate(t *testing.T) {
	for _, c := range []struct {
		text string
		want Rate // -1: refused
	}{
		{"unlimited", Unlimited}, {"4KiB/s", 4096}, {"20kB/s", 20000}, {"1/s", 1}, {"512 B/s", 512},
		{"0B/s", -1}, {"4KiB", -1}, {"4KiB/min", -1}, {"/s", -1}, {"", -1}, {"Unlimited", -1}, {"9223372036854775807/s", -1},
	} {
		got, err := ParseRate(c.text)
		if (err != nil) != (c.want < 0) || err == nil && got != c.want {
			t.Errorf("ParseRate(%q) = %d, %v, want %d", c.text, got, err, c.want)
		}
	}
	if r := Unlimited.PerSecond(); r != 0 {
		t.Errorf("unlimited is %v a second, want 0", r)
	}
	if r := Rate(4096).PerSecond(); r != 4096 {
		t.Errorf("4KiB/s is %v a second", r)
	}
}

func TestUnitsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, math.MaxInt64).Draw(t, "n") >> rapid.IntRange(0, 62).Draw(t, "shift")
		if got, err := ParseSize(Size(n).String()); err != nil || got != Size(n) {
			t.Fatalf("%v came back as %v, %v", Size(n), got, err)
		}
		if n == 0 {
			return
		}
		if got, err := ParseRate(Rate(n).String()); err != nil || got != Rate(n) {
			t.Fatalf("%v came back as %v, %v", Rate(n), got, err)
		}
	})
}

func TestSocketMode(t *testing.T) {
	var m SocketMode
	if err := m.UnmarshalText([]byte("0660")); err != nil || m != 0o660 {
		t.Errorf("0660: %o, %v", m, err)
	}
	if text, _ := m.MarshalText(); string(text) != "0660" {
		t.Errorf("written as %s", text)
	}
	for _, bad := range []string{"", "0400", "1777", "888", "rw", "0o660", "-660"} {
		if err := m.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1s": time.Second, "90s": 90 * time.Second, "5m": 5 * time.Minute, "60m": time.Hour, "7d": 7 * 24 * time.Hour, "106751d": 106751 * 24 * time.Hour,
	} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || time.Duration(d) != want {
			t.Errorf("%q: %v, %v", text, d, err)
		}
		again, _ := d.MarshalText()
		if err := d.UnmarshalText(again); err != nil || time.Duration(d) != want {
			t.Errorf("%q came back as %s, %v", text, again, err)
		}
	}
	for _, bad := range []string{"", "5", "m", "0s", "-1s", "+1s", "1.5h", "1h30m", "5 m", " 5m", "5ms", "1w", "106752d", "9223372036854775807s"} {
		if d := Duration(7); d.UnmarshalText([]byte(bad)) == nil || d != 7 {
			t.Errorf("%q was taken for %v", bad, d)
		}
	}
}
