//go:build linux

package feeder

import "errors"

// Credit says how many bits to credit for bytes that passed the tests. The zero
// value is auto.
type Credit struct {
	text string
	rate int // bits per byte, unless auto
}

// ParseCredit reads "auto" (what the host or the kernel claims for the bytes),
// "none", "full" (8 bits a byte) or a number of bits a byte from 1 to 8.
func ParseCredit(s string) (Credit, error) {
	switch {
	case s == "auto":
		return Credit{}, nil
	case s == "none":
		return Credit{text: s}, nil
	case s == "full":
		return Credit{text: s, rate: 8}, nil
	case len(s) == 1 && s[0] >= '1' && s[0] <= '8':
		return Credit{text: s, rate: int(s[0] - '0')}, nil
	}
	return Credit{}, errors.New("must be auto, none, full or a number of bits per byte from 1 to 8")
}

// Untrusting returns the policy for a guest whose host is the adversary: what auto
// credits is then nothing, and what somebody asked for stays.
func (c Credit) Untrusting() Credit {
	if c.text == "" {
		c.text = "auto"
	}
	return c
}

// Auto says whether it is the zero value, which believes the host.
func (c Credit) Auto() bool { return c.text == "" }

func (c Credit) String() string {
	if c.text == "" {
		return "auto"
	}
	return c.text
}

// bits returns the credit for n bytes for which claimed bits are claimed.
func (c Credit) bits(n, claimed int) int {
	if c.text == "" {
		return min(claimed, 8*n)
	}
	return c.rate * n
}

// entropy returns the whole bits per byte that the health tests take as the
// claim: what would be credited, or else what is claimed, and at least 1.
func (c Credit) entropy(n, claimed int) int {
	if n == 0 {
		return 1
	}
	return min(max(c.bits(n, claimed)/n, 1), 8)
}
