package libvirt

import (
	"encoding/xml"
	"fmt"
	"unicode/utf8"
)

// Bounds of what is kept of a policy that somebody wrote into a domain.
const (
	MaxValue   = 128 // bytes of each of its texts; no class, rate or weight comes near
	MaxUnknown = 16
	maxClip    = 64 // bytes of somebody's text in a message
)

// takeMetadata reads one element of <metadata>. The first policy counts.
func (r *reader) takeMetadata(e xml.StartElement, _ int64) error {
	if e.Name.Space != PolicyNamespace {
		return r.dec.Skip()
	}
	if r.Policy == nil {
		r.Policy = new(Policy)
	}
	if e.Name.Local != "policy" {
		r.Policy.unknown("element %q", clip(e.Name.Local))
		return r.dec.Skip()
	}
	r.policies++
	if r.policies > 1 {
		r.Policy.unknown("a second policy")
		return r.dec.Skip()
	}
	r.Policy.take(e.Attr)
	_, err := r.each(func(inner xml.StartElement, _ int64) error {
		r.Policy.unknown("element %q", clip(inner.Name.Local))
		return r.dec.Skip()
	})
	return err
}

func (p *Policy) take(attrs []xml.Attr) {
	given := map[string]bool{}
	for _, a := range attrs {
		if a.Name.Space == "xmlns" || (a.Name == xml.Name{Local: "xmlns"}) {
			continue
		}
		to := p.attribute(a.Name)
		switch {
		case to == nil:
			p.unknown("attribute %q", clip(a.Name.Local))
		case given[a.Name.Local]:
			p.unknown("a second attribute %q", a.Name.Local)
		case len(a.Value) > MaxValue:
			p.unknown("attribute %q with %d bytes", a.Name.Local, len(a.Value))
		default:
			given[a.Name.Local] = true
			*to = a.Value
		}
	}
}

// attribute is where that attribute goes; nil: nowhere.
func (p *Policy) attribute(name xml.Name) *string {
	if name.Space != "" {
		return nil
	}
	switch name.Local {
	case "class":
		return &p.Class
	case "rate":
		return &p.Rate
	case "weight":
		return &p.Weight
	case "quality":
		return &p.Quality
	}
	return nil
}

func (p *Policy) unknown(format string, args ...any) {
	if len(p.Unknown) < MaxUnknown {
		p.Unknown = append(p.Unknown, fmt.Sprintf(format, args...))
	}
}

// clip bounds somebody's text to what fits in a message.
func clip(s string) string {
	if len(s) <= maxClip {
		return s
	}
	n := maxClip
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// unprefixed writes a policy as libvirt wants it for virDomainSetMetadata: it puts the
// namespace in by itself, and fails where it is there already.
func unprefixed(policy string) (string, error) {
	d, err := ParseDomain([]byte("<domain><metadata>" + policy + "</metadata></domain>"))
	if err != nil {
		return "", err
	}
	if d.Policy == nil || len(d.Policy.Unknown) > 0 {
		return "", fmt.Errorf("%q is no policy of namespace %s", clip(policy), PolicyNamespace)
	}
	attrs, err := d.Policy.attributes()
	return "<policy" + attrs + "/>", err
}
