package libvirt

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"
)

// maxPath is the longest name of a unix socket in bytes: sun_path without its
// final NUL (linux/un.h).
const maxPath = 107

// With reconnect, a domain starts before hostd and outlives its restart.
const reconnect = "<reconnect enabled='yes' timeout='1'/>"

// As a domain starts, libvirt gives the socket of a channel to QEMU's user, and fails
// if it is not there (virSecurityDACSetChardevLabelHelper, security_dac.c). It has
// that owner already, and need not be there; so libvirt is told to leave it alone.
const noRelabel = "<seclabel model='dac' relabel='no'/>"

// RNGXML is the rng device that has QEMU fetch from the socket of a qemu pipe.
func RNGXML(path string) (string, error) {
	s, err := source(path, reconnect)
	if err != nil {
		return "", fmt.Errorf("rng device: %w", err)
	}
	return "<rng model='virtio'>\n  <backend model='egd' type='unix'>\n" +
		indent("    ", s) + "\n  </backend>\n</rng>", nil
}

// ChannelXML is the port from which guestd reads, at the socket of a port pipe.
func ChannelXML(path string) (string, error) {
	s, err := source(path, noRelabel, reconnect)
	if err != nil {
		return "", fmt.Errorf("port of guestd: %w", err)
	}
	return "<channel type='unix'>\n" + indent("  ", s) +
		"\n  <target type='virtio' name='" + EntropyPort + "'/>\n</channel>", nil
}

func source(socket string, inner ...string) (string, error) {
	if err := checkSocket(socket); err != nil {
		return "", err
	}
	text, err := escape(socket)
	if err != nil {
		return "", fmt.Errorf("the socket %q: %w", socket, err)
	}
	return "<source mode='connect' path='" + text + "'>\n" + indent("  ", strings.Join(inner, "\n")) + "\n</source>", nil
}

func checkSocket(socket string) error {
	if !path.IsAbs(socket) {
		return fmt.Errorf("the socket %q is to be an absolute path", clip(socket))
	}
	if len(socket) > maxPath {
		return fmt.Errorf("the socket's path has %d bytes, at most %d are possible", len(socket), maxPath)
	}
	return nil
}

// PolicyXML is the policy for a domain's metadata. What is not known of a policy
// cannot be written.
func PolicyXML(p Policy) (string, error) {
	attrs, err := p.attributes()
	if err != nil {
		return "", err
	}
	return "<headgate:policy xmlns:headgate='" + PolicyNamespace + "'" + attrs + "/>", nil
}

func (p Policy) attributes() (string, error) {
	var b strings.Builder
	for _, a := range []struct{ name, value string }{
		{"class", p.Class}, {"rate", p.Rate}, {"weight", p.Weight}, {"quality", p.Quality},
	} {
		if a.value == "" {
			continue
		}
		if len(a.value) > MaxValue {
			return "", fmt.Errorf("policy: %s has %d bytes, at most %d are possible", a.name, len(a.value), MaxValue)
		}
		text, err := escape(a.value)
		if err != nil {
			return "", fmt.Errorf("policy: %s %q: %w", a.name, a.value, err)
		}
		fmt.Fprintf(&b, " %s='%s'", a.name, text)
	}
	return b.String(), nil
}

var (
	errNotXML = errors.New("a character in it cannot be written in XML")

	// White space in an attribute would be read as blanks if it stood as it is
	// (XML 1.0, section 3.3.3).
	escapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&apos;", `"`, "&quot;",
		"\t", "&#9;", "\n", "&#10;", "\r", "&#13;")
)

// escape makes text fit for an attribute.
func escape(text string) (string, error) {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, notXML) {
		return "", errNotXML
	}
	return escapes.Replace(text), nil
}

// notXML is the opposite of production 2, Char, of XML 1.0.
func notXML(r rune) bool {
	return r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff
}

// indent puts a margin before each line.
func indent(margin, text string) string {
	return margin + strings.ReplaceAll(text, "\n", "\n"+margin)
}
