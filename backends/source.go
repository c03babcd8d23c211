package backends

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// Config says which source to read and what it is worth.
type Config struct {
	Name       string  // what status, events and metrics call it
	Type       string  // one of Types
	Path       string  // of the device or file; "" is the type's own, if it has one
	Origin     string  // "" is found from the device
	MinEntropy float64 // as assessed, in bits per byte; 0: not given
	Consume    bool    // file only: destroy the bytes of a regular file as they are used
}

// Info says what was found at an Open. It may be different at the next one.
type Info struct {
	Kind       string  // the type
	Path       string  // "" where there is none
	Driver     string  // of the kernel, or what stands for it
	Origin     string  // sources of one origin count once
	MinEntropy float64 // the claim, in bits per byte
	Assumed    bool    // the claim was not assessed by the operator
	Physical   bool    // this host itself samples the noise, as far as it can know
}

// Source is one physical noise source.
//
// Open returns a stream of its raw samples. A Read may return less than asked
// for, and never nothing without an error; a dead device is an error. Close makes
// a Read in progress, and all later ones, return an error that is os.ErrClosed.
// A stream is read by one goroutine and closed by any. Streams of one Source are
// opened one after the other.
type Source interface {
	Open() (io.ReadCloser, Info, error)
}

const (
	// AssumedMinEntropy is the most that a source is worth, in bits per byte, for
	// which no assessed min-entropy is given.
	AssumedMinEntropy = 2.0

	// leastMinEntropy keeps the repetition count test's cutoff, and with it the run
	// of samples that a Pump holds back, below 2^16 at any α.
	leastMinEntropy = 1.0 / 1024
)

// Types returns the types that New builds.
func Types() []string { return []string{"file", "hwrng", "rdseed"} }

// New returns the source that c describes. It opens nothing.
func New(c Config) (Source, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("source %q: %w", c.Name, err)
	}
	switch c.Type {
	case "hwrng":
		return newHWRNG(c), nil
	case "rdseed":
		return rdseedSource{c}, nil
	default:
		return newFile(c), nil
	}
}

func (c Config) check() error {
	built := strings.Join(Types(), ", ")
	switch c.Type {
	case "file", "hwrng", "rdseed":
	case "rdrand", "tpm", "jitter", "serial", "egd", "exec":
		return fmt.Errorf("type %q is not built yet: use one of %s", c.Type, built)
	default:
		return fmt.Errorf("type %q is unknown: use one of %s", c.Type, built)
	}
	// So written, NaN is refused too.
	if h := c.MinEntropy; h != 0 && !(h >= leastMinEntropy && h <= 8) {
		return fmt.Errorf("min_entropy %v is not possible: give %.3f to 8 bits per byte, or nothing for an assumed %.1f",
			h, math.Ceil(leastMinEntropy*1000)/1000, AssumedMinEntropy)
	}
	switch {
	case c.Type == "file" && c.Path == "":
		return fmt.Errorf("type %q needs a path: name a character device, a FIFO or a file", c.Type)
	case c.Type == "rdseed" && c.Path != "":
		return fmt.Errorf("type %q is an instruction of the processor: it takes no path", c.Type)
	case c.Type != "file" && c.Consume:
		return fmt.Errorf("consume is for type \"file\", not for %q", c.Type)
	}
	return nil
}

// claim completes info from c: what the operator says goes before what was found.
// bound is what the device says of itself, in bits per byte and above 0.
func (c Config) claim(info Info, bound float64) Info {
	info.Kind = c.Type
	if c.Origin != "" {
		info.Origin = c.Origin
	}
	info.MinEntropy = c.MinEntropy
	if info.Assumed = c.MinEntropy == 0; info.Assumed {
		info.MinEntropy = min(AssumedMinEntropy, bound)
	}
	return info
}

// Discover returns every physical source of this host that is usable without an
// assessed min-entropy, as configurations without one.
func Discover() []Config {
	var found []Config
	for _, c := range []Config{{Name: "hwrng", Type: "hwrng", Path: hwrngPath}, {Name: "rdseed", Type: "rdseed"}} {
		s, err := New(c)
		if err != nil {
			continue
		}
		stream, _, err := s.Open()
		if err != nil {
			continue
		}
		_ = stream.Close()
		found = append(found, c)
	}
	return found
}
