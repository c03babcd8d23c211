package libvirt

import (
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestDevicesAsTheyAreWritten(t *testing.T) {
	for name, test := range map[string]struct {
		make func(string) (string, error)
		want string
	}{
		"rng": {RNGXML, `<rng model='virtio'>
  <backend model='egd' type='unix'>
    <source mode='connect' path='/run/a&amp;&apos;b.sock'>
      <reconnect enabled='yes' timeout='1'/>
    </source>
  </backend>
</rng>`},
		"port": {ChannelXML, `<channel type='unix'>
  <source mode='connect' path='/run/a&amp;&apos;b.sock'>
    <seclabel model='dac' relabel='no'/>
    <reconnect enabled='yes' timeout='1'/>
  </source>
  <target type='virtio' name='org.headgate.entropy.0'/>
</channel>`},
	} {
		if got, err := test.make("/run/a&'b.sock"); err != nil || got != test.want {
			t.Errorf("%s: %v\n%s", name, err, got)
		}
		for _, bad := range []string{"", "run/a.sock", "/run/a\x00", "/run/\xff", "/run/\x1b", "/" + strings.Repeat("a", maxPath)} {
			if got, err := test.make(bad); err == nil {
				t.Errorf("%s at %q: %s", name, bad, got)
			}
		}
		if _, err := test.make("/" + strings.Repeat("a", maxPath-1)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPolicyAsItIsWritten(t *testing.T) {
	got, err := PolicyXML(Policy{Class: `g'o"l<d>`, Rate: "4KiB/s", Weight: "2", Quality: "full", Unknown: []string{"x"}})
	want := `<headgate:policy xmlns:headgate='urn:headgate:policy:1' class='g&apos;o&quot;l&lt;d&gt;' rate='4KiB/s' weight='2' quality='full'/>`
	if err != nil || got != want {
		t.Errorf("%s %v", got, err)
	}
	for _, bad := range []string{"\x00", "\xff", "\ufffe", strings.Repeat("a", MaxValue+1)} {
		if got, err := PolicyXML(Policy{Weight: bad}); err == nil {
			t.Errorf("%q: %s", bad, got)
		}
	}
}

// What is written is read as it was meant, whatever is in it.
func TestWrittenAndRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringN(-1, -1, maxPath-1)
		p := Policy{Class: value.Draw(t, "class"), Rate: value.Draw(t, "rate"), Weight: value.Draw(t, "weight"), Quality: value.Draw(t, "quality")}
		policy, err := PolicyXML(p)
		if err != nil {
			return // it cannot be written
		}
		d, err := ParseDomain([]byte("<domain><metadata>" + policy + "</metadata></domain>"))
		if err != nil || !reflect.DeepEqual(*d.Policy, p) {
			t.Fatalf("%s is read as %+v, %v", policy, d.Policy, err)
		}
		bare, err := unprefixed(policy)
		if err != nil || strings.ReplaceAll(policy, "headgate:policy xmlns:headgate='"+PolicyNamespace+"'", "policy") != bare {
			t.Fatalf("%s without prefix is %s, %v", policy, bare, err)
		}
		path := "/" + p.Class
		rng, err1 := RNGXML(path)
		port, err2 := ChannelXML(path)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		d, err = ParseDomain([]byte("<domain><devices>" + rng + port + "</devices></domain>"))
		if err != nil {
			t.Fatal(err)
		}
		r, ok1 := d.EGD(path)
		c, ok2 := d.Port(path)
		if !ok1 || !ok2 || r.Reconnect != 1 || c.Reconnect != 1 || c.Relabels {
			t.Fatalf("%q is read as %+v", path, d)
		}
	})
}

func TestUnprefixedRefuses(t *testing.T) {
	for _, bad := range []string{"", "<policy class='a'/>", "x", "<policy", "</metadata><metadata>",
		"<h:policy xmlns:h='" + PolicyNamespace + "' colour='a'/>"} {
		if got, err := unprefixed(bad); err == nil {
			t.Errorf("%q: %s", bad, got)
		}
	}
}
