package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a time of whole seconds, written "30s", "5m", "1h" or "7d".
type Duration time.Duration

const allowedDuration = `a time such as "30s", "5m", "1h" or "7d"`

// spans in falling order, so that the first that divides a duration is the shortest
// way to write it.
var spans = []struct {
	name string
	of   time.Duration
}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}}

// UnmarshalText reads a whole number with its unit.
func (d *Duration) UnmarshalText(text []byte) error {
	for _, u := range spans {
		digits, ok := strings.CutSuffix(string(text), u.name)
		if !ok {
			continue
		}
		// ParseUint refuses signs, which ParseInt would take.
		if n, err := strconv.ParseUint(digits, 10, 63); err == nil && n > 0 && n <= uint64(math.MaxInt64/u.of) {
			*d = Duration(n) * Duration(u.of)
			return nil
		}
	}
	return refuse(allowedDuration, "%q is not such a time", clip(string(text)))
}

// MarshalText writes the duration as String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String writes the duration exactly, in the largest unit that divides it.
func (d Duration) String() string {
	for _, u := range spans {
		if v := time.Duration(d); v != 0 && v%u.of == 0 {
			return strconv.FormatInt(int64(v/u.of), 10) + u.name
		}
	}
	return time.Duration(d).String()
}

func withinTime(d Duration, low, high time.Duration) error {
	if time.Duration(d) < low || time.Duration(d) > high {
		return refuse(fmt.Sprintf("%v to %v", Duration(low), Duration(high)), "%v is out of bounds", d)
	}
	return nil
}
