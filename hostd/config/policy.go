package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Policy is what is written for a domain, as it is written there: in a libvirt
// domain's XML, or in xenstore. Who reads that has bounded it.
type Policy struct {
	Class, Rate, Weight, Quality string
	Unknown                      []string // what else is in it, such as: attribute "klass"
	Operator                     bool     // it is the word of the host's operator, and not of who may edit the domain
}

// allowed are the parts that a policy may have.
func (p Policy) allowed() string {
	if p.Operator {
		return "class, rate, weight"
	}
	return "class, rate, weight, quality"
}

var errAbove = errors.New("above the class's")

// Policy gives the class and the limits that a domain's policy comes to, and what
// is wrong with it; each mistake names the domain and the attribute. But for the
// operator's, who may choose any class and any limits, a policy is the word of whoever
// may edit the domain, who must not get at others' shares: it chooses among the classes
// marked selectable and the default one, and lowers that class's limits. What is above
// them counts as the class's own; anything else that is wrong makes the whole policy
// the default class's.
func (c *Config) Policy(domain string, p Policy) (Guest, []error) {
	var mistakes []error
	wrong := func(attribute string, err error) {
		mistakes = append(mistakes, fmt.Errorf("domain %s: policy %s: %w", domainText(domain), attribute, err))
	}
	class, err := c.selectable(p)
	if err != nil {
		wrong("class", err)
	}
	whole := err == nil
	limit := func(attribute string, err error) {
		switch {
		case err == nil:
		case !errors.Is(err, errAbove):
			whole = false
			wrong(attribute, err)
		case class.Name == p.Class || p.Class == "": // else it is not the class that was meant
			wrong(attribute, err)
		}
	}
	rate, err := p.rate(class)
	limit("rate", err)
	weight, err := p.weight(class)
	limit("weight", err)
	if err := p.quality(class); err != nil {
		whole = false
		wrong("quality", err)
	}
	for _, attribute := range p.Unknown {
		whole = false
		wrong("not understood", refuse(p.allowed(), "%s", inLine(attribute)))
	}
	if !whole {
		return Guest{Class: DefaultClass}, mistakes
	}
	return Guest{Class: class.Name, Rate: rate, Weight: weight}, mistakes
}

// selectable finds the class that a policy names; with an error it is the default
// class.
func (c *Config) selectable(p Policy) (Class, error) {
	name := p.Class
	otherwise, _ := c.Class(DefaultClass)
	class, known := c.Class(name)
	if known && (class.Name == DefaultClass || class.Selectable || p.Operator) {
		return class, nil
	}
	allowed := []string{DefaultClass}
	for _, k := range c.Classes {
		if (k.Selectable || p.Operator) && k.Name != DefaultClass {
			allowed = append(allowed, k.Name)
		}
	}
	slices.Sort(allowed)
	var err error
	if known {
		err = refuse(strings.Join(allowed, ", "), "a domain may not choose class %q: it needs selectable = true in hostd's configuration", clip(name))
	} else {
		err = refuse(strings.Join(allowed, ", "), "there is no class %q", clip(name))
	}
	return otherwise, err
}

// rate is the domain's own rate; 0: the class's.
func (p Policy) rate(class Class) (Rate, error) {
	if p.Rate == "" {
		return 0, nil
	}
	r, err := ParseRate(p.Rate)
	switch {
	case err != nil:
		return 0, err
	case r > class.Rate && !p.Operator: // Unlimited is the largest of all
		return 0, fmt.Errorf("%v is %w %v; allowed: no more than that", r, errAbove, class.Rate)
	}
	return r, checkRate(r)
}

// weight is the domain's own weight; 0: the class's.
func (p Policy) weight(class Class) (int, error) {
	if p.Weight == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(p.Weight, 10, 31) // takes no sign
	switch {
	case err != nil:
		return 0, refuse("a whole number", "%q is not a weight", clip(p.Weight))
	case int(n) > class.Weight && !p.Operator:
		return 0, fmt.Errorf("%d is %w %d; allowed: no more than that", n, errAbove, class.Weight)
	}
	return int(n), checkWeight(int(n))
}

func (p Policy) quality(class Class) error {
	if p.Quality == "" || p.Quality == class.Quality {
		return nil
	}
	if err := checkQuality(p.Quality); err != nil {
		return err
	}
	return refuse(class.Quality, "class %s gives no quality %q", class.Name, p.Quality)
}

// domainText is a domain's name as it can stand in a line.
func domainText(name string) string {
	if CheckName(name) == nil {
		return name
	}
	return strconv.Quote(clip(name))
}

// inLine is somebody's text as it can stand in a line.
func inLine(s string) string {
	s = clip(s)
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}
