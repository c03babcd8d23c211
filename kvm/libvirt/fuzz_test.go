package libvirt

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"reflect"
	"testing"
	"unicode/utf8"
)

func seeds(f *testing.F) {
	for _, file := range []string{"running.xml", "prepare.xml", "inactive.xml"} {
		f.Add(golden(f, file))
	}
	ns := "xmlns:h='" + PolicyNamespace + "'"
	for _, seed := range []string{
		"<domain/>", "<domain></domain>", "<?xml version='1.0'?><!DOCTYPE d><domain id='-1'><name>&lt;</name></domain><!-- -->",
		"<domain " + ns + "><metadata><h:policy class='a' colour='b'><x/></h:policy><h:policy/></metadata><devices/></domain>",
		"<domain>\n<metadata/><devices><rng><backend model='random'>/dev/urandom</backend></rng></devices>\n</domain>",
		"<domain><devices><channel type='unix'><source mode='connect' path='/p'/><target type='virtio' name='" + EntropyPort + "'/></channel></devices></domain>",
		"<domain><devices><rng><backend model='egd' type='udp'><source mode='bind'/></backend></rng><![CDATA[</devices>]]></devices></domain>",
		"<domain><seclabel model='dac'><label>+1:+1</label></seclabel><seclabel model='selinux'><imagelabel>a</imagelabel></seclabel></domain>",
		"<domain xmlns='x'/>", "<a:domain/>", "<domain><devices xmlns='x'/></domain>",
		"<domain><memoryBacking><hugepages/><access mode='shared'/></memoryBacking><cpu><numa><cell memAccess='shared'/><cell/></numa></cpu>" +
			"<q:commandline xmlns:q='" + QEMUNamespace + "'>\n<q:arg value='-chardev'/>\n<q:arg value='socket,id=headgate0,path=/run/a,,b,server,nowait'/>\n" +
			"<q:arg value='-device'/><q:arg value='vhost-user-rng-pci,chardev=headgate0,addr=1c.0'/><q:env name='a'/></q:commandline></domain>",
		"<domain><commandline xmlns='" + QEMUNamespace + "'><arg value='-device'/><arg value='{&quot;driver&quot;:&quot;vhost-user-rng-pci&quot;}'/></commandline></domain>",
		"<domain><memory>1</memory><memoryBacking><source type='anonymous'/></memoryBacking><devices><rng><address type='pci' slot='0x1c'/></rng></devices></domain>",
	} {
		f.Add([]byte(seed))
	}
}

func FuzzParseDomain(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := ParseDomain(text)
		if err != nil {
			if !reflect.DeepEqual(d, Domain{}) {
				t.Fatalf("%+v and %v", d, err)
			}
			return
		}
		if u, err := parseUUID(d.UUID); d.UUID != "" && (err != nil || textOf(u) != d.UUID) {
			t.Fatalf("UUID %q", d.UUID)
		}
		if d.ID < 0 || len(d.RNGs) > maxDevices || len(d.Channels) > maxDevices || len(d.Vhosts) > maxDevices || len(d.Label) > MaxLabel {
			t.Fatalf("not bounded: %+v", d)
		}
		for _, s := range append(stringsOf(d), d.Name, d.Label) {
			if !utf8.ValidString(s) || len(s) > len(text)+len(`a second attribute "quality" with 9999999 bytes…`) {
				t.Fatalf("%q", s)
			}
		}
		if d.Policy == nil {
			return
		}
		if len(d.Policy.Unknown) > MaxUnknown {
			t.Fatalf("%d are unknown", len(d.Policy.Unknown))
		}
		for _, s := range append([]string{d.Policy.Class, d.Policy.Rate, d.Policy.Weight, d.Policy.Quality}, d.Policy.Unknown...) {
			if len(s) > MaxValue {
				t.Fatalf("%q", s)
			}
		}
		p := *d.Policy
		policy, err := PolicyXML(p)
		if err != nil {
			t.Fatalf("%+v was read and cannot be written: %v", p, err)
		}
		p.Unknown = nil
		again, err := ParseDomain([]byte("<domain><metadata>" + policy + "</metadata></domain>"))
		if err != nil || !reflect.DeepEqual(*again.Policy, p) {
			t.Fatalf("%+v is read as %+v, %v", p, again.Policy, err)
		}
	})
}

func stringsOf(d Domain) []string {
	var out []string
	for _, r := range d.RNGs {
		out = append(out, r.Backend, r.Type, r.Mode, r.Path, r.Alias)
	}
	for _, c := range d.Channels {
		out = append(out, c.Mode, c.Path)
	}
	for _, v := range d.Vhosts {
		out = append(out, v.Path)
	}
	if p := d.Policy; p != nil {
		out = append(append(out, p.Class, p.Rate, p.Weight, p.Quality), p.Unknown...)
	}
	return out
}

func FuzzEdit(f *testing.F) {
	seeds(f)
	policy := Policy{Class: "g'o\"l<d>", Weight: "2"}
	w := Wiring{RNG: "/run/a&'b.sock", Port: "/run/a.port", Policy: &policy}
	f.Fuzz(func(t *testing.T, text []byte) {
		before, err := ParseDomain(text)
		once, editErr := Edit(text, w)
		if editErr != nil {
			return
		}
		if err != nil {
			t.Fatalf("edited, but not to be read: %v", err)
		}
		after, err := ParseDomain(once)
		if err != nil {
			t.Fatalf("not to be read any more: %v\n%s", err, once)
		}
		if _, ok := after.EGD(w.RNG); !ok {
			t.Fatalf("no rng in\n%s", once)
		}
		if _, ok := after.Port(w.Port); !ok {
			t.Fatalf("no port in\n%s", once)
		}
		if p := after.Policy; p == nil || p.Class != policy.Class || p.Rate != "" || p.Weight != policy.Weight || p.Quality != "" {
			t.Fatalf("policy %+v in\n%s", after.Policy, once)
		}
		twice, err := Edit(once, w)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%v: once\n%s\ntwice\n%s", err, once, twice)
		}
		// Nothing else has changed, and nothing is gone.
		if n, m := len(before.RNGs), len(after.RNGs); m-n > 1 || m < n {
			t.Fatalf("%d rng devices are %d", n, m)
		}
		after.Policy, after.RNGs, after.Channels = before.Policy, before.RNGs, before.Channels
		if !reflect.DeepEqual(before, after) {
			t.Fatalf("%+v\nis\n%+v", before, after)
		}
		keeps(t, text, once)
	})
}

// keeps fails the test if something of a text is gone from another.
func keeps(t *testing.T, text, from []byte) {
	t.Helper()
	old, now := tokens(t, text), tokens(t, from)
	for _, token := range old {
		for len(now) > 0 && now[0] != token {
			now = now[1:]
		}
		if len(now) == 0 {
			t.Fatalf("%s is gone from\n%s", token, from)
		}
	}
}

// tokens are all but the text of white space and the policies. An empty element is as
// a start with its end.
func tokens(t *testing.T, text []byte) []string {
	dec := xml.NewDecoder(bytes.NewReader(text))
	var out []string
	for {
		token, err := dec.Token()
		if err != nil {
			return out
		}
		switch token := token.(type) {
		case xml.StartElement:
			if (token.Name == xml.Name{Space: PolicyNamespace, Local: "policy"}) {
				if err := dec.Skip(); err != nil {
					t.Fatal(err)
				}
				continue
			}
			out = append(out, fmt.Sprintf("<%v>", token))
		case xml.CharData:
			if b := bytes.TrimSpace(token); len(b) > 0 {
				out = append(out, string(b))
			}
		default:
			out = append(out, fmt.Sprintf("%T %s", token, token))
		}
	}
}

func FuzzEditVhost(f *testing.F) {
	seeds(f)
	const socket = "/run/a&',b.vhost/sock"
	f.Fuzz(func(t *testing.T, text []byte) {
		once, err := Edit(text, Wiring{Vhost: socket})
		if err != nil {
			return
		}
		before, err := ParseDomain(text)
		if err != nil {
			t.Fatalf("edited, but not to be read: %v", err)
		}
		after, err := ParseDomain(once)
		if err != nil {
			t.Fatalf("not to be read any more: %v\n%s", err, once)
		}
		if v, ok := after.Vhost(socket); !ok || v.Flaw() != "" {
			t.Fatalf("%+v in\n%s", after.Vhosts, once)
		}
		if twice, err := Edit(once, Wiring{Vhost: socket}); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%v: once\n%s\ntwice\n%s", err, once, twice)
		}
		keeps(t, text, once)

		// Taken out, all is as before, but that the memory is shared.
		out, err := Unwire(once, func(path string) bool { return path == socket })
		if err != nil {
			t.Fatal(err)
		}
		left, err := ParseDomain(out)
		if err != nil {
			t.Fatalf("not to be read any more: %v\n%s", err, out)
		}
		if _, there := left.Vhost(socket); there {
			t.Fatalf("still there in\n%s", out)
		}
		keeps(t, out, once)
		for i := range before.Vhosts {
			before.Vhosts[i].Private = false
		}
		if _, had := before.Vhost(socket); !had && !reflect.DeepEqual(left, before) {
			t.Fatalf("%+v\nis\n%+v", before, left)
		}
	})
}
