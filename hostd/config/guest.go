package config

import "errors"

// CheckGuest checks a guest that is to be added live beside those of c, which
// must not hold it yet. The error joins one *Error for each mistake.
func (c *Config) CheckGuest(g Guest) error {
	var mistakes []error
	report := func(path string, err error) {
		if err != nil {
			mistakes = append(mistakes, asRefusal(err).at("", 0, path))
		}
	}
	paths := seen{c.Control: "the control socket", c.State: "the state file"}
	names := seen{}
	for _, s := range c.Sources {
		paths[s.Path] = "source " + s.Name
	}
	for _, o := range c.Guests {
		names[o.Name] = "another"
		for _, p := range o.Pipes {
			paths[p.Path] = "guest " + o.Name
		}
	}
	names.name("guest", g.Name, report)
	c.checkGuest("guest", g, paths, report)
	checkLimits(given(g.Rate), given(g.Burst), given(g.Weight), report)
	if g.SocketOwner != "" {
		report("guest.socket_owner", checkOwner(string(g.SocketOwner)))
	}
	return errors.Join(mistakes...)
}

// CheckLimits checks limits that are to be set on a guest; nil is not given.
func CheckLimits(rate *Rate, burst *Size, weight *int) error {
	var mistakes []error
	checkLimits(rate, burst, weight, func(path string, err error) {
		if err != nil {
			mistakes = append(mistakes, asRefusal(err).at("", 0, path))
		}
	})
	return errors.Join(mistakes...)
}

func checkLimits(rate *Rate, burst *Size, weight *int, report report) {
	if rate != nil {
		report("guest.rate", checkRate(*rate))
	}
	if burst != nil {
		report("guest.burst", checkBurst(*burst))
	}
	if weight != nil {
		report("guest.weight", checkWeight(*weight))
	}
}

// given is nil for a zero, which stands for the class's value.
func given[T comparable](v T) *T {
	if v == *new(T) {
		return nil
	}
	return &v
}
