package quality

import (
	"time"

	"headgate/backends/reservoir"
	"headgate/ratelimit"
)

// The qualities, as a class names them.
const (
	Full         = "full"
	DRBG         = "drbg"
	FullThenDRBG = "full-then-drbg"
)

// What a Config has where it says nothing.
const (
	DefaultReseedBytes    = 1 << 20
	DefaultReseedInterval = 5 * time.Minute
	DefaultMaxStale       = time.Hour
)

// Bounds of a Config. SP 800-90A allows far more, 2^48 requests of 64 KiB.
const (
	MinReseedBytes    = reservoir.MaxGenerate
	MaxReseedBytes    = 1 << 30
	MinReseedInterval = time.Second
	MaxReseedInterval = 24 * time.Hour
	MaxMaxStale       = 7 * 24 * time.Hour
)

// Config is what a guest's class says of its quality.
type Config struct {
	Quality string // anything but DRBG and FullThenDRBG is Full

	// Limits are those of the reservoir's bytes; of quality DRBG, those of its bytes.
	Limits ratelimit.Limits

	// DRBGRate limits the DRBG's bytes of quality FullThenDRBG, in bytes per second;
	// 0: unlimited.
	DRBGRate float64

	ReseedBytes    int           // given out, after which it is reseeded; 0: the default
	ReseedInterval time.Duration // after which it is reseeded; 0: the default
	MaxStale       time.Duration // after its last seed, when it gives nothing more; 0: the default
}

// filled has the defaults in, and what cannot be put right.
func (c Config) filled() Config {
	if c.Quality != DRBG && c.Quality != FullThenDRBG {
		c.Quality = Full
	}
	if c.ReseedBytes <= 0 {
		c.ReseedBytes = DefaultReseedBytes
	}
	if c.ReseedInterval <= 0 {
		c.ReseedInterval = DefaultReseedInterval
	}
	if c.MaxStale <= 0 {
		c.MaxStale = DefaultMaxStale
	}
	c.ReseedBytes = max(c.ReseedBytes, MinReseedBytes)
	c.MaxStale = max(c.MaxStale, c.ReseedInterval)
	c.Limits.Weight = max(c.Limits.Weight, 1)
	return c
}

// reservoirLimits are those of the guest's tap on the reservoir. Quality DRBG draws
// seeds alone from it, which its weight limits and no rate.
func (c Config) reservoirLimits() ratelimit.Limits {
	if c.Quality == DRBG {
		return ratelimit.Limits{Weight: c.Limits.Weight}
	}
	return c.Limits
}

// leastBurst is the least burst of a DRBG's bytes of quality FullThenDRBG.
const leastBurst = 64 << 10

// drbgLimits are those of the guest's tap on its own DRBG, of which it is the one user.
func (c Config) drbgLimits() ratelimit.Limits {
	if c.Quality == DRBG {
		return ratelimit.Limits{Rate: c.Limits.Rate, Burst: c.Limits.Burst, Weight: 1}
	}
	return ratelimit.Limits{Rate: c.DRBGRate, Burst: max(c.Limits.Burst, leastBurst), Weight: 1}
}
