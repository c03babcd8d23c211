package command

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"headgate/hostd/config"
)

// policyFlags are the parts of a domain's policy that a command was given.
type policyFlags struct {
	class    string
	rate     config.Rate
	weight   int
	operator bool // it is the operator's own word, which no class bounds
}

// domainsPolicy gives the flags of a policy that stands in a domain's own
// definition, and what refuses a wrong one before anything is done.
func domainsPolicy(c *cobra.Command) *policyFlags {
	p := &policyFlags{}
	p.add(c, "`CLASS` that gives its limits: one that is selectable", "long-term `RATE`, at most the class's",
		"`SHARE` when the supply is short, at most the class's")
	return p
}

// operatorsPolicy gives those of one that only the operator can write.
func operatorsPolicy(c *cobra.Command) *policyFlags {
	p := &policyFlags{operator: true}
	p.add(c, "`CLASS` that gives its limits", `long-term `+"`RATE`"+`, as "4KiB/s" or "unlimited" (default: the class's)`,
		"`SHARE` when the supply is short, 1 to 1000 (default: the class's)")
	return p
}

func (p *policyFlags) add(c *cobra.Command, class, rate, weight string) {
	f := c.Flags()
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		var err error
		switch {
		case f.Changed("class") && p.class == "":
			err = errors.New("--class is empty")
		case f.Changed("rate") && p.rate != config.Unlimited && (p.rate < config.MinRate || p.rate > config.MaxRate):
			err = fmt.Errorf("--rate %v is out of bounds; allowed: %v to %v, or unlimited", p.rate, config.MinRate, config.MaxRate)
		case f.Changed("weight") && (p.weight < config.MinWeight || p.weight > config.MaxWeight):
			err = fmt.Errorf("--weight %d is out of bounds; allowed: %d to %d", p.weight, config.MinWeight, config.MaxWeight)
		default:
			return nil
		}
		return &usageError{c.CommandPath(), err}
	}
	f.StringVar(&p.class, "class", "", class)
	f.TextVar(&p.rate, "rate", config.Rate(0), rate)
	f.Lookup("rate").DefValue = "" // the help would show 0B
	f.IntVar(&p.weight, "weight", 0, weight)
}

// given tells whether there is anything to write.
func (p policyFlags) given() bool { return p.class != "" || p.rate != 0 || p.weight != 0 }

// over gives the policy to be written over the present one; nil: it is so
// already, or nothing is asked for. As with "guest set", a class takes older
// limits back.
func (p policyFlags) over(present *config.Policy) *config.Policy {
	if !p.given() {
		return nil
	}
	var next config.Policy
	if present != nil && p.class == "" {
		next = *present
		next.Unknown = nil
	}
	if p.class != "" {
		next.Class = p.class
	}
	if p.rate != 0 {
		next.Rate = p.rate.String()
	}
	if p.weight != 0 {
		next.Weight = strconv.Itoa(p.weight)
	}
	if present != nil && len(present.Unknown) == 0 && policyText(*present) == policyText(next) {
		return nil
	}
	return &next
}

// check says what hostd would not take of the policy over the present one. The
// domain would be fed all the same, in the default class: better said now. Without
// classes, which only hostd knows, nothing is said.
func (p policyFlags) check(domain string, classes []config.Class, present *config.Policy) error {
	next := p.over(present)
	if next == nil || len(classes) == 0 {
		return nil
	}
	c := config.Config{Classes: classes}
	next.Operator = p.operator
	_, mistakes := c.Policy(domain, *next)
	return errors.Join(mistakes...)
}

// policyText writes a policy for people.
func policyText(p config.Policy) string {
	var parts []string
	for _, part := range []struct{ name, value string }{
		{"class", p.Class}, {"rate", p.Rate}, {"weight", p.Weight}, {"quality", p.Quality},
	} {
		if part.value != "" {
			parts = append(parts, part.name+" "+printable(part.value))
		}
	}
	return strings.Join(parts, ", ")
}
