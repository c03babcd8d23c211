package config

import (
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes, written "64KiB".
type Size int64

// Rate is a number of bytes a second, written "4KiB/s" or "unlimited".
type Rate int64

// Unlimited is the rate without a limit.
const Unlimited Rate = math.MaxInt64

// Bounds of what may be asked for. A request of a Linux guest's hwrng core is 64
// bytes on x86 (drivers/char/hw_random/core.c: the size of a cache line), so a
// smaller burst would never let one through.
const (
	MinReservoir Size = 4 << 10
	MaxReservoir Size = 16 << 20
	MinBurst     Size = 64
	MaxBurst     Size = 16 << 20
	MinRate      Rate = 1
	MaxRate      Rate = 1 << 30
	MinWeight         = 1
	MaxWeight         = 1000
)

// What a value of each kind may be, in words for the one who wrote another.
const (
	allowedSize  = `a size such as "4096B", "64KiB" or "1MiB"`
	allowedRate  = `a rate such as "512B/s", "4KiB/s" or "1MiB/s", or "unlimited"`
	allowedBurst = `"64B" to "16MiB"`
)

// units in falling order within each base, so that the first that divides a
// value is the shortest way to write it.
var units = []struct {
	name  string
	bytes int64
}{
	{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3},
	{"B", 1},
}

// ParseSize reads "64KiB", "20kB", "100B" or a bare number of bytes.
func ParseSize(s string) (Size, error) {
	digits := strings.TrimSpace(s)
	factor := int64(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(digits, u.name); ok {
			digits, factor = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	// ParseUint refuses signs, which ParseInt would take.
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || n > uint64(math.MaxInt64/factor) {
		return 0, refuse(allowedSize, "%q is not a size", clip(s))
	}
	return Size(int64(n) * factor), nil
}

// ParseRate reads "4KiB/s" or "unlimited".
func ParseRate(s string) (Rate, error) {
	s = strings.TrimSpace(s)
	if s == "unlimited" {
		return Unlimited, nil
	}
	amount, ok := strings.CutSuffix(s, "/s")
	if !ok {
		return 0, refuse(allowedRate, "%q is not a rate", clip(s))
	}
	n, err := ParseSize(amount)
	if err != nil || n == 0 || Rate(n) == Unlimited {
		return 0, refuse(allowedRate, "%q is not a rate", clip(s))
	}
	return Rate(n), nil
}

// String writes the size exactly, in the largest unit that divides it.
func (s Size) String() string {
	for _, u := range units {
		if v := int64(s); v != 0 && v%u.bytes == 0 {
			return strconv.FormatInt(v/u.bytes, 10) + u.name
		}
	}
	return "0B"
}

// String writes the rate exactly, as ParseRate reads it.
func (r Rate) String() string {
	if r == Unlimited {
		return "unlimited"
	}
	return Size(r).String() + "/s"
}

// PerSecond is the rate in bytes a second, 0 for unlimited: what ratelimit takes.
func (r Rate) PerSecond() float64 {
	if r == Unlimited {
		return 0
	}
	return float64(r)
}

// MarshalText writes the size as String does.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what ParseSize reads.
func (s *Size) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSize(string(text))
	return err
}

// MarshalText writes the rate as String does.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what ParseRate reads.
func (r *Rate) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRate(string(text))
	return err
}

// clip keeps a value that is quoted in an error short.
func clip(s string) string { return Clip(s, 48) }

// Clip keeps a text of somebody else's within so many bytes, and shows that there was
// more of it.
func Clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
