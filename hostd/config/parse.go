package config

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// Parse reads and checks a configuration; name stands for the file in errors.
// The error joins one *Error for each mistake, in the order of the lines.
func Parse(name string, data []byte) (*Config, error) {
	if len(data) > maxFile {
		return nil, &Error{File: name, Line: 1, Problem: "the file is too large", Allowed: Size(maxFile).String()}
	}
	lines, tooDeep := indexLines(data)
	if tooDeep > 0 {
		return nil, &Error{File: name, Line: tooDeep, Problem: "nested too deeply", Allowed: strconv.Itoa(maxDepth) + " levels"}
	}
	tree := map[string]any{}
	if err := toml.Unmarshal(data, &tree); err != nil {
		return nil, syntaxError(name, err)
	}
	var mistakes []*Error
	refused := map[string]bool{} // a value that was is not there, and is not to be said to be missing
	report := func(path string, err error) {
		if err != nil {
			refused[path] = true
			mistakes = append(mistakes, asRefusal(err).at(name, lines.line(path), path))
		}
	}
	c := Default()
	c.Classes = nil
	walk("", tree, c.fields(report), report)
	if !slices.ContainsFunc(c.Classes, func(k Class) bool { return k.Name == DefaultClass }) {
		c.Classes = append(c.Classes, defaultClass())
	}
	walked := maps.Clone(refused)
	c.check(func(path string, err error) {
		if !walked[path] {
			report(path, err)
		}
	})
	if len(mistakes) == 0 {
		return c, nil
	}
	slices.SortStableFunc(mistakes, func(a, b *Error) int { return a.Line - b.Line })
	joined := make([]error, len(mistakes))
	for i, m := range mistakes {
		joined[i] = m
	}
	return nil, errors.Join(joined...)
}

func syntaxError(name string, err error) error {
	e := &Error{File: name, Line: 1, Problem: err.Error()}
	if p := (toml.ParseError{}); errors.As(err, &p) {
		e.Line, e.Key, e.Problem = max(p.Position.Line, 1), clip(p.LastKey), p.Message
	}
	e.Problem = strings.ReplaceAll(e.Problem, "\n", " ")
	return e
}

func (c *Config) fields(report report) fields {
	return fields{
		"control": text(&c.Control, checkSocketPath),
		"state":   text(&c.State, checkFilePath),
		"guard":   text(&c.Guard, oneOf(GuardOn, GuardRequire, GuardOff)),
		"meter":   text(&c.Meter, oneOf(MeterOn, MeterKprobe, MeterOff)),
		"log": aTable("log", fields{
			"format": text(&c.Log.Format, oneOf("text", "json")),
			"level":  level(&c.Log.Level),
		}, report),
		"reservoir": aTable("reservoir", fields{
			"size":         parsed(&c.Reservoir.Size, allowedSize, checkReservoir),
			"boot_reserve": parsed(&c.Reservoir.BootReserve, allowedSize, nil),
			"min_sources":  integer(&c.Reservoir.MinSources, checkMinSources),
		}, report),
		"health":  aTable("health", fields{"alpha": alpha(&c.Health.AlphaLog2)}, report),
		"host":    aTable("host", c.Host.fields(), report),
		"libvirt": aTable("libvirt", c.Libvirt.fields(), report),
		"xen":     aTable("xen", c.Xen.fields(), report),
		"source": tables("source", func() fields {
			c.Sources = append(c.Sources, Source{})
			return c.Sources[len(c.Sources)-1].fields()
		}, report),
		"class": tables("class", func() fields {
			k := defaultClass()
			k.Name = ""
			c.Classes = append(c.Classes, k)
			return c.Classes[len(c.Classes)-1].fields()
		}, report),
		"guest": tables("guest", func() fields {
			c.Guests = append(c.Guests, Guest{Class: DefaultClass})
			return c.Guests[len(c.Guests)-1].fields()
		}, report),
	}
}

func (g *Guest) fields() fields {
	return fields{
		"name":         text(&g.Name, nil),
		"class":        text(&g.Class, nil),
		"pipes":        pipes(&g.Pipes),
		"rate":         parsed(&g.Rate, allowedRate, checkRate),
		"burst":        parsed(&g.Burst, allowedBurst, checkBurst),
		"weight":       integer(&g.Weight, checkWeight),
		"socket_owner": text((*string)(&g.SocketOwner), checkOwner),
		"socket_mode":  parsed(&g.SocketMode, allowedMode, nil),
	}
}

func pipes(into *[]Pipe) func(any) error {
	return func(value any) error {
		list, ok := value.([]any)
		if !ok {
			return refuse("an array of pipes: ["+allowedPipe+"]", "%s is not an array", kindOf(value))
		}
		var first error
		for _, v := range list {
			var p Pipe
			err := parsed(&p, allowedPipe, nil)(v)
			if first == nil {
				first = err
			}
			*into = append(*into, p)
		}
		return first
	}
}

func level(into *slog.Level) func(any) error {
	var name string
	check := oneOf("debug", "info", "warn", "error")
	return text(&name, func(s string) error {
		if err := check(s); err != nil {
			return err
		}
		return into.UnmarshalText([]byte(s))
	})
}

// alpha takes "2^-20" to "2^-40": the range that SP 800-90B §4.4 recommends.
func alpha(into *int) func(any) error {
	var s string
	return text(&s, func(s string) error {
		digits, ok := strings.CutPrefix(s, "2^-")
		n, err := strconv.Atoi(digits)
		if !ok || err != nil || n < 20 || n > 40 {
			return refuse(`"2^-20" to "2^-40"`, "%q is not such a probability", clip(s))
		}
		*into = n
		return nil
	})
}

func oneOf(allowed ...string) func(string) error {
	return func(s string) error {
		if slices.Contains(allowed, s) {
			return nil
		}
		return refuse(strings.Join(allowed, ", "), "%q is not known", clip(s))
	}
}
