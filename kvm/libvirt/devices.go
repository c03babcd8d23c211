package libvirt

import (
	"encoding/xml"
	"fmt"
)

// Device is an rng device, guestd's port or a vhost-user-rng device, as it stands in a
// domain's XML. One of the three is not nil.
type Device struct {
	XML     string // libvirt wants that very text back to take it out; of a Vhost empty
	RNG     *RNG
	Channel *Channel
	Vhost   *Vhost
}

// Devices finds the devices that ParseDomain tells of.
func Devices(text []byte) ([]Device, error) {
	doc, err := open(text)
	if err != nil {
		return nil, fmt.Errorf("domain XML: %w", err)
	}
	r := reader{document: doc, text: text}
	var found []Device
	_, err = r.each(func(e xml.StartElement, at int64) error {
		if !plain(e, "devices") {
			return r.take(e, at)
		}
		_, err := r.each(func(e xml.StartElement, at int64) error {
			d, err := r.device(e, at)
			if d != nil {
				found = append(found, *d)
			}
			return err
		})
		return err
	})
	if err == nil {
		err = r.takeVhosts()
	}
	if err == nil {
		err = r.finish()
	}
	if err != nil {
		return nil, fmt.Errorf("domain XML: %w", err)
	}
	for _, v := range r.Vhosts {
		found = append(found, Device{Vhost: &v})
	}
	return found, nil
}

// device takes the device that begins at at; nil: it is none of these.
func (r *reader) device(e xml.StartElement, at int64) (*Device, error) {
	rngs, ports := len(r.RNGs), len(r.Channels)
	if err := r.takeDevice(e, at); err != nil {
		return nil, err
	}
	d := Device{XML: string(r.text[at:r.dec.InputOffset()])}
	switch {
	case len(r.RNGs) > rngs:
		rng := r.RNGs[rngs]
		d.RNG = &rng
	case len(r.Channels) > ports:
		port := r.Channels[ports]
		d.Channel = &port
	default:
		return nil, nil
	}
	return &d, nil
}
