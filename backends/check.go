package backends

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// ConfigError is one mistake in a Config.
type ConfigError struct {
	Key     string // as it is written in a configuration file
	Problem string
	Allowed string // what would be right; may be empty
}

func (e *ConfigError) Error() string {
	if e.Allowed == "" {
		return e.Key + ": " + e.Problem
	}
	return e.Key + ": " + e.Problem + "; allowed: " + e.Allowed
}

// refuse makes a ConfigError.
func refuse(key, allowed, format string, args ...any) error {
	return &ConfigError{Key: key, Problem: fmt.Sprintf(format, args...), Allowed: allowed}
}

// checks are what each type wants of its configuration beyond what holds for all.
var checks = map[string]func(Config) error{
	"egd":    checkEGD,
	"exec":   checkExec,
	"file":   checkFile,
	"serial": checkSerial,
}

// belongings are the keys that only some types have.
var belongings = []struct {
	key   string
	types []string
	given func(Config) bool
}{
	{"path", []string{"egd", "file", "hwrng", "serial", "tpm"}, func(c Config) bool { return c.Path != "" }},
	{"consume", []string{"file"}, func(c Config) bool { return c.Consume }},
	{"speed", []string{"serial"}, func(c Config) bool { return c.Speed != 0 }},
	{"start", []string{"serial"}, func(c Config) bool { return c.Start != "" }},
	{"command", []string{"exec"}, func(c Config) bool { return len(c.Command) > 0 }},
	{"user", []string{"exec"}, func(c Config) bool { return c.User != "" }},
}

// Mistakes returns what is wrong with c. It looks at nothing but c: what a path leads
// to shows at the Open.
func (c Config) Mistakes() []*ConfigError {
	types := strings.Join(Types(), ", ")
	if _, known := kinds[c.Type]; !known {
		return []*ConfigError{{"type", fmt.Sprintf("%q is not a type of source", c.Type), types}}
	}
	var all []*ConfigError
	add := func(err error) {
		one := &ConfigError{Key: "type"}
		if err == nil {
			return
		}
		if !errors.As(err, &one) {
			one.Problem = err.Error()
		}
		all = append(all, one)
	}
	// So written, NaN is refused too.
	if h := c.MinEntropy; h != 0 && !(h >= leastMinEntropy && h <= 8) {
		add(refuse("min_entropy", fmt.Sprintf("%.3f to 8 bits per byte, or nothing for an assumed %.1f",
			math.Ceil(leastMinEntropy*1000)/1000, AssumedMinEntropy), "%v is not possible", h))
	}
	switch c.Noise {
	case "", Physical, NonPhysical:
	default:
		add(refuse("noise", fmt.Sprintf("%s, %s", Physical, NonPhysical), "%q is not a kind of noise", c.Noise))
	}
	for _, b := range belongings {
		if b.given(c) && !slices.Contains(b.types, c.Type) {
			add(refuse(b.key, "with type "+strings.Join(b.types, ", "), "a source of type %q has none", c.Type))
		}
	}
	if check := checks[c.Type]; check != nil {
		add(check(c))
	}
	return all
}
