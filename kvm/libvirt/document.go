package libvirt

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
)

// MaxXML is the longest domain XML that is read, in bytes: REMOTE_STRING_MAX of
// libvirt's remote_protocol.x, which no XML that libvirt hands out exceeds.
const MaxXML = 4 << 20

var (
	errTooLong  = fmt.Errorf("it has more than %d MiB", MaxXML>>20)
	errNoDomain = errors.New("there is no <domain> in it: give what virsh dumpxml prints")
	errTwo      = errors.New("there is more than one document in it")
)

// document is a domain's XML that is gone through once, from its root's elements
// on.
type document struct {
	dec  *xml.Decoder
	root xml.StartElement
}

func open(text []byte) (*document, error) {
	if len(text) > MaxXML {
		return nil, errTooLong
	}
	dec := xml.NewDecoder(bytes.NewReader(text))
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil, errNoDomain
		}
		if err != nil {
			return nil, err
		}
		if root, ok := token.(xml.StartElement); ok {
			if !plain(root, "domain") {
				return nil, errNoDomain
			}
			return &document{dec: dec, root: root}, nil
		}
	}
}

// plain says whether this is libvirt's own element of that name, which is in no
// namespace.
func plain(e xml.StartElement, local string) bool {
	return e.Name == xml.Name{Local: local}
}

// each calls take for each element of the one that has just begun; take reads it to
// its end. At is where its tag begins. What is returned is where the end tag begins.
func (d *document) each(take func(e xml.StartElement, at int64) error) (end int64, err error) {
	for {
		at := d.dec.InputOffset()
		token, err := d.dec.Token()
		if err != nil {
			return 0, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			if err := take(token, at); err != nil {
				return 0, err
			}
		case xml.EndElement:
			return at, nil
		}
	}
}

// finish sees to it that nothing but comments follows the root.
func (d *document) finish() error {
	for {
		token, err := d.dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch token := token.(type) {
		case xml.StartElement:
			return errTwo
		case xml.CharData:
			if len(bytes.TrimSpace(token)) > 0 {
				return errTwo
			}
		}
	}
}
