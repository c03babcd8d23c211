package config

import (
	"fmt"
	"path/filepath"
	"strings"
)

// maxPipes bounds the pipes of one guest.
const maxPipes = 16

func checkReservoir(s Size) error {
	if s < MinReservoir || s > MaxReservoir {
		return refuse(fmt.Sprintf("%v to %v", MinReservoir, MaxReservoir), "%v is out of bounds", s)
	}
	return nil
}

func checkWeight(n int) error { return within(n, MinWeight, MaxWeight) }

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

func checkOwner(s string) error {
	_, _, err := Owner(s).Lookup()
	return err
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
	c.checkOrigins(report)
	names = seen{}
	for i := range c.Classes {
		at := fmt.Sprintf("class[%d]", i)
		c.Classes[i].check(at, report)
		names.name(at, c.Classes[i].Name, report)
	}
	report("host.class", c.knows(c.Host.Class))
	names = seen{}
	for i, g := range c.Guests {
		at := fmt.Sprintf("guest[%d]", i)
		names.name(at, g.Name, report)
		c.checkGuest(at, g, paths, report)
	}
}

// knows says what is wrong with the name of a class that something is to have.
func (c *Config) knows(class string) error {
	if _, ok := c.Class(class); ok {
		return nil
	}
	var names []string
	for _, k := range c.Classes {
		names = append(names, k.Name)
	}
	return refuse(strings.Join(names, ", "), "there is no class %q", clip(class))
}

func (c *Config) checkGuest(at string, g Guest, paths seen, report report) {
	report(at+".class", c.knows(g.Class))
	if n := len(g.Pipes); n == 0 || n > maxPipes {
		report(at+".pipes", refuse(fmt.Sprintf("1 to %d of %s", maxPipes, allowedPipe), "guest %s has %d pipes", clip(g.Name), n))
	}
	for _, p := range g.Pipes {
		if p.Path == "" { // its syntax was reported
			continue
		}
		paths.take(at+".pipes", p.Path, "guest "+g.Name, report)
		if p.Kind == VhostUser && !p.Server && filepath.Dir(p.Path) == c.Libvirt.Guests {
			report(at+".pipes", refuse("one in a folder of its own, as "+c.Libvirt.GuestVhost("NAME"),
				"QEMU is to make %q, and may make nothing in the folder of all guests' sockets", clip(p.Path)))
		}
	}
}
