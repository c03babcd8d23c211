package command

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"headgate/hostd/config"
	"headgate/kvm/libvirt"
)

// policyFlags are the parts of a domain's policy that a command was given.
type policyFlags struct {
	class  string
	rate   config.Rate
	weight int
}

// newPolicyFlags gives the flags, and what refuses a wrong one before anything is
// done.
func newPolicyFlags(c *cobra.Command) *policyFlags {
	p := &policyFlags{}
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
	f.StringVar(&p.class, "class", "", "`CLASS` that gives its limits: one that is selectable")
	f.TextVar(&p.rate, "rate", config.Rate(0), "long-term `RATE`, at most the class's")
	f.Lookup("rate").DefValue = "" // the help would show 0B
	f.IntVar(&p.weight, "weight", 0, "`SHARE` when the supply is short, at most the class's")
	return p
}

// over gives the policy to be written over the present one; nil: it is so
// already, or nothing is asked for. As with "guest set", a class takes older
// limits back.
func (p policyFlags) over(present *libvirt.Policy) *libvirt.Policy {
	if p == (policyFlags{}) {
		return nil
	}
	var next libvirt.Policy
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
// domain would start all the same, in the default class: better said now. Without
// classes, which only hostd knows, nothing is said.
func (p policyFlags) check(domain string, classes []config.Class, present *libvirt.Policy) error {
	next := p.over(present)
	if next == nil || len(classes) == 0 {
		return nil
	}
	c := config.Config{Classes: classes}
	_, mistakes := c.Policy(domain, config.Policy{Class: next.Class, Rate: next.Rate, Weight: next.Weight, Quality: next.Quality})
	return errors.Join(mistakes...)
}

// policyText writes a policy for people.
func policyText(p libvirt.Policy) string {
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
