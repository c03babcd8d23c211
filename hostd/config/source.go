package config

import (
	"fmt"
	"reflect"
	"strings"

	"headgate/backends"
)

// Source is one physical noise source; it converts to a backends.Config.
type Source struct {
	Name, Type, Path, Origin string
	MinEntropy               float64 // bits per byte; 0: not given
	Credit                   backends.Credit
	Noise                    backends.Noise
	Consume                  bool     // destroy the bytes of a regular file as they are read
	Speed                    int      // of a serial line, bits per second; 0: as it is set
	Start                    string   // is sent to a serial device first
	Command                  []string // whose standard output is read
	User                     string   // whom it runs as
}

// Equal reports whether nothing differs between the two sources.
func (s Source) Equal(o Source) bool { return reflect.DeepEqual(s, o) }

// leastMinEntropy is the smallest claim that the health tests can work with, in
// bits per byte; backends holds to the same.
const leastMinEntropy = 0.001

// maxSources bounds min_sources; no host has more physical sources.
const maxSources = 16

// maxArguments bounds a command, in words. What a word is long is bounded as a path is.
const maxArguments = 256

func (s *Source) fields() fields {
	return fields{
		"name":        text(&s.Name, nil),
		"type":        text(&s.Type, nil),
		"path":        text(&s.Path, checkGiven),
		"origin":      text(&s.Origin, checkOrigin),
		"min_entropy": number(&s.MinEntropy, checkMinEntropy),
		"credit":      credit(&s.Credit),
		"noise":       text((*string)(&s.Noise), oneOf(string(backends.Physical), string(backends.NonPhysical))),
		"consume":     boolean(&s.Consume),
		"speed":       integer(&s.Speed, checkSpeed),
		"start":       text(&s.Start, nil),
		"command":     words(&s.Command),
		"user":        text(&s.User, checkUser),
	}
}

// credit takes a boolean: what is not given is neither.
func credit(into *backends.Credit) func(any) error {
	var yes bool
	take := boolean(&yes)
	return func(value any) error {
		if err := take(value); err != nil {
			return err
		}
		*into = backends.CreditNone
		if yes {
			*into = backends.CreditFull
		}
		return nil
	}
}

// words takes a command: the program and each of its arguments apart, so that no
// shell ever reads them.
func words(into *[]string) func(any) error {
	const allowed = `an array of the program and its arguments: ["/usr/bin/arecord", "-t", "raw"]`
	return func(value any) error {
		list, ok := value.([]any)
		if !ok {
			return refuse(allowed, "%s is not an array", kindOf(value))
		}
		if len(list) == 0 || len(list) > maxArguments {
			return refuse(fmt.Sprintf("1 to %d words", maxArguments), "the command has %d", len(list))
		}
		var all []string
		for _, v := range list {
			word, ok := v.(string)
			switch {
			case !ok:
				return refuse(allowed, "%s is not a string", kindOf(v))
			case len(word) > maxPath:
				return refuse(fmt.Sprintf("at most %d bytes", maxPath), "the word %q is %d bytes long", clip(word), len(word))
			}
			all = append(all, word)
		}
		*into = all
		return nil
	}
}

func checkMinSources(n int) error { return within(n, 1, maxSources) }

func checkMinEntropy(h float64) error {
	if !(h >= leastMinEntropy && h <= 8) { // so, and not the other way round, NaN is refused
		return refuse("bits per byte: 0.001 to 8", "%v is out of bounds", h)
	}
	return nil
}

// checkGiven leaves the rest to check: the type knows better what is wrong with a path.
func checkGiven(path string) error {
	if path == "" {
		return checkFilePath(path)
	}
	return nil
}

func checkOrigin(s string) error {
	if s == "" {
		return nil
	}
	return CheckName(s)
}

// checkSpeed leaves it to backends which speeds there are.
func checkSpeed(n int) error {
	if n == 0 {
		return refuse("bits per second, or nothing to leave it as it is", "0 is no speed")
	}
	return nil
}

// checkUser takes an Owner that names a user: a group alone would leave root.
func checkUser(s string) error {
	if strings.HasPrefix(s, ":") {
		return refuse("user or user:group of this host, by name or number", "%q names no user", clip(s))
	}
	return checkOwner(s)
}

func (s *Source) check(at string, report report) {
	if s.Type == "hwrng" && s.Path == "" {
		s.Path = "/dev/hwrng"
	}
	pathIsWrong := s.Path == ""
	for _, m := range backends.Config(*s).Mistakes() {
		pathIsWrong = pathIsWrong || m.Key == "path"
		report(at+"."+m.Key, refuse(m.Allowed, "%s", m.Problem))
	}
	if err := checkFilePath(s.Path); err != nil && !pathIsWrong {
		report(at+".path", err)
	}
}

// checkOrigins finds a min_sources that can never be met, as far as the configuration
// shows: full taps would wait for ever.
func (c *Config) checkOrigins(report report) {
	var sources []backends.Config
	for _, s := range c.Sources {
		sources = append(sources, backends.Config(s))
	}
	whose := "credited sources given"
	if len(sources) == 0 {
		// What is looked for when none is given; see backends.Discover.
		sources = []backends.Config{{Type: "hwrng"}, {Type: "rdseed"}}
		whose = "sources that are found by themselves"
	}
	switch most := backends.MostOrigins(sources); {
	case most == 0:
		report("source[0].credit", refuse("one credited source at least: give its min_entropy as assessed, or credit = true",
			"no source counts, so that no block would ever be finished"))
	case c.Reservoir.MinSources > most:
		report("reservoir.min_sources", refuse(fmt.Sprintf("at most %d, the distinct origins of the %s", most, whose),
			"a block would need %d origins", c.Reservoir.MinSources))
	}
}
