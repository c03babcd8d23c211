package early

import (
	"encoding/json"
	"fmt"
	"time"
)

// Seconds is a time since the kernel's start, or one that passed; in JSON a number of
// seconds.
type Seconds time.Duration

// String has it to the hundredth, as people compare it with dmesg's.
func (s Seconds) String() string { return fmt.Sprintf("%.2f s", time.Duration(s).Seconds()) }

// MarshalJSON writes microseconds, which is what the kernel's log has.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%.6f", time.Duration(s).Seconds()), nil
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Seconds) UnmarshalJSON(text []byte) error {
	var f float64
	if err := json.Unmarshal(text, &f); err != nil {
		return err
	}
	*s = Seconds(time.Duration(f * float64(time.Second)).Round(time.Microsecond))
	return nil
}
