package command

import (
	"headgate/hostd/config"
	"headgate/kvm/libvirt"
)

// fromXML is a policy of a domain's XML, if there is one.
func fromXML(p *libvirt.Policy) *config.Policy {
	if p == nil {
		return nil
	}
	return &config.Policy{Class: p.Class, Rate: p.Rate, Weight: p.Weight, Quality: p.Quality, Unknown: p.Unknown}
}

// toXML is a policy as a domain's XML has it.
func toXML(p config.Policy) libvirt.Policy {
	return libvirt.Policy{Class: p.Class, Rate: p.Rate, Weight: p.Weight, Quality: p.Quality, Unknown: p.Unknown}
}
