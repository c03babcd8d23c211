package config

import (
	"fmt"
	"slices"
	"strings"

	"headgate/backends"
)

var (
	unbuiltTypes  = []string{"rdrand", "tpm", "jitter", "serial", "egd", "exec"}
	allowedSource = strings.Join(backends.Types(), ", ")
)

// leastMinEntropy is the smallest claim that the health tests can work with, in
// bits per byte; backends holds to the same.
const leastMinEntropy = 0.001

// maxSources bounds min_sources; no host has more physical sources.
const maxSources = 16

// maxPipes bounds the pipes of one guest.
const maxPipes = 16

func checkReservoir(s Size) error {
	if s < MinReservoir || s > MaxReservoir {
		return refuse(fmt.Sprintf("%v to %v", MinReservoir, MaxReservoir), "%v is out of bounds", s)
	}
	return nil
}

func checkMinSources(n int) error { return within(n, 1, maxSources) }
func checkWeight(n int) error     { return within(n, MinWeight, MaxWeight) }

func within(n, low, high int) error {
	if n < low || n > high {
		return refuse(fmt.Sprintf("%d to %d", low, high), "%d is out of bounds", n)
	}
	return nil
}

func checkRate(r Rate) error {
	if r != Unlimited && (r < MinRate || r > MaxRate) {
		return refuse(fmt.Sprintf("%v to %v, or unlimited", MinRate, MaxRate), "%v is out of bounds", r)
	}
	return nil
}

func checkBurst(s Size) error {
	if s < MinBurst || s > MaxBurst {
		return refuse(fmt.Sprintf("%v to %v", MinBurst, MaxBurst), "%v is out of bounds", s)
	}
	return nil
}

func checkMinEntropy(h float64) error {
	if !(h >= leastMinEntropy && h <= 8) { // so, and not the other way round, NaN is refused
		return refuse("bits per byte: 0.001 to 8", "%v is out of bounds", h)
	}
	return nil
}

func checkOrigin(s string) error {
	if s == "" {
		return nil
	}
	return CheckName(s)
}

func checkOwner(s string) error {
	_, _, err := Owner(s).Lookup()
	return err
}

func checkQuality(q string) error {
	switch q {
	case QualityFull:
		return nil
	case "drbg", "full-then-drbg":
		return refuse(QualityFull, "quality %q is not built yet", q)
	}
	return refuse(QualityFull, "%q is not a quality", clip(q))
}

// leastShared is what must be left beside the boot reserve, in bytes: a request of
// 64, and a block of 64 that is given out in part and not filled again yet.
const leastShared Size = 128

// check finds what only shows when the parts are held against each other.
func (c *Config) check(report report) {
	if most := c.Reservoir.Size - leastShared; c.Reservoir.BootReserve > most {
		report("reservoir.boot_reserve", refuse(fmt.Sprintf("at most %v with this reservoir.size", most),
			"%v leaves nothing for guests that are seeded", c.Reservoir.BootReserve))
	}
	paths := seen{c.Control: "the control socket"}
	paths.take("state", c.State, "the state file", report)
	names := seen{}
	for i := range c.Sources {
		at := fmt.Sprintf("source[%d]", i)
		c.Sources[i].check(at, report)
		names.name(at, c.Sources[i].Name, report)
		if c.Sources[i].Path != "" {
			paths.take(at+".path", c.Sources[i].Path, "source "+c.Sources[i].Name, report)
		}
	}
	if n := len(c.Sources); n > 0 && c.Reservoir.MinSources > n {
		report("reservoir.min_sources", refuse(fmt.Sprintf("at most the %d given", n),
			"%d sources are wanted", c.Reservoir.MinSources))
	}
	names = seen{}
	for i, k := range c.Classes {
		names.name(fmt.Sprintf("class[%d]", i), k.Name, report)
	}
	names = seen{}
	for i, g := range c.Guests {
		at := fmt.Sprintf("guest[%d]", i)
		names.name(at, g.Name, report)
		c.checkGuest(at, g, paths, report)
	}
}

func (s *Source) check(at string, report report) {
	switch {
	case slices.Contains(unbuiltTypes, s.Type):
		report(at+".type", refuse(allowedSource, "sources of type %q are not built yet", s.Type))
	case !slices.Contains(backends.Types(), s.Type):
		report(at+".type", refuse(allowedSource, "%q is not a type of source", clip(s.Type)))
	}
	switch {
	case s.Type == "hwrng" && s.Path == "":
		s.Path = "/dev/hwrng"
	case s.Type == "rdseed" && s.Path != "":
		report(at+".path", refuse("no path", "rdseed is an instruction and has no path"))
	case s.Type == "file" && s.Path == "":
		report(at+".path", refuse("the path of a character device, FIFO or file", "no path is given"))
	}
	if s.Consume && s.Type != "file" {
		report(at+".consume", refuse("only with type file", "nothing to consume"))
	}
}

func (c *Config) checkGuest(at string, g Guest, paths seen, report report) {
	if _, ok := c.Class(g.Class); !ok {
		var names []string
		for _, k := range c.Classes {
			names = append(names, k.Name)
		}
		report(at+".class", refuse(strings.Join(names, ", "), "there is no class %q", clip(g.Class)))
	}
	if n := len(g.Pipes); n == 0 || n > maxPipes {
		report(at+".pipes", refuse(fmt.Sprintf("1 to %d of %s", maxPipes, allowedPipe), "guest %s has %d pipes", clip(g.Name), n))
	}
	for _, p := range g.Pipes {
		if p.Path != "" { // else its syntax was reported
			paths.take(at+".pipes", p.Path, "guest "+g.Name, report)
		}
	}
}
