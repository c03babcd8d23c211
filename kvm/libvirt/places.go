package libvirt

import (
	"encoding/xml"
	"errors"
	"slices"
)

// span is a stretch of the text.
type span struct{ from, to int64 }

// places says where in a text things are; an element that is not there has no span.
type places struct {
	text              []byte
	metadata, devices element
	policies          []span
	rng               int64 // where the first rng begins; 0: there is none
	head              int64 // where metadata may be put
	end               int64 // where </domain> begins
}

// element is one that others can be put into.
type element struct {
	span
	close int64 // where its end tag begins; its end, if it is an empty element
}

var errEmpty = errors.New("the <domain> is empty")

// survey finds the places. The text has been parsed once and is sound.
func survey(text []byte) (*places, error) {
	doc, err := open(text)
	if err != nil {
		return nil, err
	}
	p := &places{text: text, head: doc.dec.InputOffset()}
	p.end, err = doc.each(func(e xml.StartElement, at int64) error {
		switch {
		case plain(e, "metadata") && p.metadata.to == 0:
			return p.inside(doc, &p.metadata, at, func(e xml.StartElement, at int64) {
				if (e.Name == xml.Name{Space: PolicyNamespace, Local: "policy"}) {
					p.policies = append(p.policies, span{at, doc.dec.InputOffset()})
				}
			})
		case plain(e, "devices") && p.devices.to == 0:
			return p.inside(doc, &p.devices, at, func(e xml.StartElement, at int64) {
				if plain(e, "rng") && p.rng == 0 {
					p.rng = at
				}
			})
		}
		if err := doc.dec.Skip(); err != nil {
			return err
		}
		// libvirt itself prints metadata behind these.
		if slices.ContainsFunc([]string{"name", "uuid", "genid", "title", "description"}, func(s string) bool { return plain(e, s) }) {
			p.head = doc.dec.InputOffset()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if p.end == doc.dec.InputOffset() {
		return nil, errEmpty
	}
	return p, nil
}

func (p *places) inside(doc *document, to *element, at int64, found func(e xml.StartElement, at int64)) error {
	end, err := doc.each(func(e xml.StartElement, at int64) error {
		if err := doc.dec.Skip(); err != nil {
			return err
		}
		found(e, at)
		return nil
	})
	*to = element{span{at, doc.dec.InputOffset()}, end}
	return err
}

// device puts a device in. Before the first rng, if there is one: of two that are
// equal, a Linux guest uses the one that it finds first.
func (p *places) device(text string) cut {
	switch {
	case p.devices.to == 0:
		return p.before(p.end, "<devices>\n"+indent("  ", text)+"\n</devices>")
	case p.rng > 0:
		return p.beside(p.rng, text)
	}
	return p.into(p.devices, "devices", text)
}

// policy puts a policy in the place of all that are there.
func (p *places) policy(text string) []cut {
	switch {
	case len(p.policies) > 0:
		cuts := []cut{{p.policies[0], text}}
		for _, s := range p.policies[1:] {
			cuts = append(cuts, cut{s, ""})
		}
		return cuts
	case p.metadata.to > 0:
		return []cut{p.into(p.metadata, "metadata", text)}
	}
	return []cut{p.behind(p.head, "<metadata>\n"+indent("  ", text)+"\n</metadata>")}
}
