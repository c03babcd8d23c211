package backends

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
)

// Config says which source to read and what it is worth.
type Config struct {
	Name       string   // what status, events and metrics call it
	Type       string   // one of Types
	Path       string   // of the device, socket or file; "" is the type's own, if it has one
	Origin     string   // "" is found from the device
	MinEntropy float64  // as assessed, in bits per byte; 0: not given
	Credit     Credit   // whether what it brings counts
	Noise      Noise    // "" is what the type is known to be
	Consume    bool     // file only: destroy the bytes of a regular file as they are used
	Speed      int      // serial only: bits per second; 0: as the terminal is set
	Start      string   // serial only: is sent to the device after each Open
	Command    []string // exec only: the program, by its path, and its arguments
	User       string   // exec only: whom the command runs as, user or user:group
}

// Credit says whether a source's bytes count for anything. They are mixed in, and
// tested, either way.
type Credit uint8

// What Config.Credit can be.
const (
	CreditByType Credit = iota // yes, but for what is a generator's output and has no assessed min-entropy
	CreditFull
	CreditNone
)

// Noise is what kind of source this is, in the sense of SP 800-90C: what a block is
// made of decides which construction it may be part of.
type Noise string

// The kinds of noise.
const (
	Physical    Noise = "physical"     // a phenomenon of dedicated hardware, sampled on this host
	NonPhysical Noise = "non-physical" // what a system does anyhow: times, memory, audio
	Generated   Noise = "drbg"         // the output of a generator, whatever seeds that
	Unknown     Noise = "unknown"      // only who has set it up can know
)

// Info says what was found at an Open. It may be different at the next one.
type Info struct {
	Kind       string  // the type
	Path       string  // "" where there is none
	Driver     string  // of the kernel, or what stands for it
	Origin     string  // sources of one origin count once
	MinEntropy float64 // the claim, in bits per byte
	Assumed    bool    // the claim was not assessed by the operator
	Credited   bool    // what it brings counts
	Noise      Noise   // as far as this host can know
	Detail     string  // what was measured of the device at the Open, in a few words; may be ""
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

// kinds are the types of sources, with what opens each.
var kinds = map[string]func(Config) Source{
	"egd":    newEGD,
	"exec":   newExec,
	"file":   func(c Config) Source { return newFile(c) },
	"hwrng":  func(c Config) Source { return newHWRNG(c) },
	"jitter": newJitter,
	"rdrand": newRDRAND,
	"rdseed": newRDSEED,
	"serial": newSerial,
	"tpm":    newTPM,
}

// Types returns the types that New builds.
func Types() []string { return slices.Sorted(maps.Keys(kinds)) }

// New returns the source that c describes. It opens nothing.
func New(c Config) (Source, error) {
	if mistakes := c.Mistakes(); len(mistakes) > 0 {
		return nil, fmt.Errorf("source %q: %w", c.Name, mistakes[0])
	}
	return kinds[c.Type](c), nil
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
	info.Credited = c.credited(info.Noise) // by what it is, whatever it is to be called
	info.Noise = cmp.Or(c.Noise, info.Noise, Unknown)
	return info
}

// credited tells whether what a source of that noise brings counts. The output of a
// generator does not, however even it looks, unless the operator has assessed it:
// how much noise is behind it cannot be seen in it.
func (c Config) credited(n Noise) bool {
	return c.Credit == CreditFull || c.Credit == CreditByType && (n != Generated || c.MinEntropy != 0)
}

// Discover returns every physical source of this host that is usable without an
// assessed min-entropy, as configurations without one. Of the others each needs to be
// asked for: a generator's output (rdrand, tpm) counts nothing by itself, jitter takes
// the processor's time, and who is behind a line, a socket or a program only the
// operator knows.
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
