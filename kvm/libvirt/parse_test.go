package libvirt

import (
	"bytes"
	"fmt"
	"os/user"
	"reflect"
	"strings"
	"testing"

	"headgate/integration/need"
)

const webUUID = "6b0d5f6e-4652-4b95-a7f3-30e85b7cf76d"

var webRNG = RNG{Backend: "egd", Type: "unix", Mode: "connect", Path: "/run/headgate/guests/web1.sock", Reconnect: 1}

func uid(n uint32) *uint32 { return &n }

func (r RNG) as(alias string) RNG { r.Alias = alias; return r }

func TestWhatLibvirtGivesOut(t *testing.T) {
	policy := &Policy{Class: "gold", Rate: "4KiB/s"}
	both := []RNG{webRNG.as("rng0"), {Backend: "egd", Type: "unix", Mode: "connect", Path: "/run/other/egd.sock", Reconnect: 1, Alias: "rng1"}}
	for file, want := range map[string]Domain{
		"running.xml":  {Name: "web1", UUID: webUUID, ID: 18, Policy: policy, RNGs: both, UID: uid(64055)},
		"prepare.xml":  {Name: "web1", UUID: webUUID, ID: 18, Policy: policy, RNGs: both},
		"inactive.xml": {Name: "web1", UUID: webUUID, Policy: policy, RNGs: []RNG{webRNG}},
	} {
		got, err := ParseDomain(golden(t, file))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v %v, want %+v", file, got, err, want)
		}
	}
}

func TestParseDomain(t *testing.T) {
	ns := " xmlns:h='" + PolicyNamespace + "'"
	rng := func(backend string) string {
		return "<devices><rng model='virtio'><backend " + backend + "</backend></rng></devices>"
	}
	port := func(rest string) string {
		return "<devices><channel type='unix'>" + rest + "<target type='virtio' name='" + EntropyPort + "'/></channel></devices>"
	}
	for _, test := range []struct {
		name, in string // in is what is inside <domain>
		want     Domain
	}{
		{"nothing", "", Domain{}},
		{"the first name", "<name>a</name><name>b</name>", Domain{Name: "a"}},
		{"a UUID in other letters", "<uuid> 6B0D5F6E46524B95A7F330E85B7CF76D\n</uuid>", Domain{UUID: webUUID}},
		{"other people's elements", "<x:name xmlns:x='y'>a</x:name><name xmlns='y'>b</name><new><rng/></new>", Domain{}},

		{"policy", "<metadata><h:policy" + ns + " class='a' rate='b' weight='c' quality='d'/></metadata>",
			Domain{Policy: &Policy{Class: "a", Rate: "b", Weight: "c", Quality: "d"}}},
		{"policy with another prefix", "<metadata><policy xmlns='" + PolicyNamespace + "' class='a'></policy></metadata>",
			Domain{Policy: &Policy{Class: "a"}}},
		{"the prefix stands further out", "<metadata" + ns + "><h:policy class='a'/></metadata>",
			Domain{Policy: &Policy{Class: "a"}}},
		{"another namespace", "<metadata><h:policy xmlns:h='urn:headgate:policy:2' class='a'/></metadata>", Domain{}},
		{"no namespace", "<metadata><headgate:policy class='a'/><policy class='b'/></metadata>", Domain{}},
		{"deeper in", "<metadata><x><h:policy" + ns + " class='a'/></x></metadata>", Domain{}},
		{"not in metadata", "<h:policy" + ns + " class='a'/><devices><h:policy" + ns + "/></devices>", Domain{}},
		{"in the second metadata", "<metadata/><metadata><h:policy" + ns + " class='a'/></metadata>", Domain{}},
		{"a second policy", "<metadata" + ns + "><h:policy class='a'/><h:policy class='b'/></metadata>",
			Domain{Policy: &Policy{Class: "a", Unknown: []string{"a second policy"}}}},
		{"what is not known", "<metadata" + ns + "><h:limit/><h:policy class='a' colour='b' h:rate='c' class='d'><h:e/></h:policy></metadata>",
			Domain{Policy: &Policy{Class: "a", Unknown: []string{
				`element "limit"`, `attribute "colour"`, `attribute "rate"`, `a second attribute "class"`, `element "e"`}}}},
		{"too long a value", "<metadata" + ns + "><h:policy class='" + strings.Repeat("a", 257) + "' " + strings.Repeat("é", 50) + "='b'/></metadata>",
			Domain{Policy: &Policy{Unknown: []string{`attribute "class" with 257 bytes`, `attribute "` + strings.Repeat("é", 32) + `…"`}}}},

		{"random", rng("model='random'>\n/dev/urandom\n"), Domain{RNGs: []RNG{{Backend: "random", Path: "/dev/urandom"}}}},
		{"builtin", rng("model='builtin'>"), Domain{RNGs: []RNG{{Backend: "builtin"}}}},
		{"of a later libvirt", rng("model='quantum'>"), Domain{RNGs: []RNG{{}}}},
		{"egd without a source", rng("model='egd' type='unix'>"), Domain{RNGs: []RNG{{Backend: "egd", Type: "unix"}}}},
		{"egd of no type that is known", rng("model='egd' type='smoke'><source mode='connect' path='/a'/>"), Domain{RNGs: []RNG{{}}}},
		{"egd that cannot be read", rng("model='egd' type='unix'><source mode='connect' path='/a'><reconnect enabled='yes' timeout='x'/></source>"), Domain{RNGs: []RNG{{}}}},
		{"egd that does not come back", rng("model='egd' type='unix'><source mode='connect' path='/a'><reconnect enabled='no'/></source>"),
			Domain{RNGs: []RNG{{Backend: "egd", Type: "unix", Mode: "connect", Path: "/a"}}}},
		{"egd that binds", rng("model='egd' type='unix'><source mode='bind' path='/a'/>"),
			Domain{RNGs: []RNG{{Backend: "egd", Type: "unix", Mode: "bind", Path: "/a"}}}},
		{"egd over TCP", rng("model='egd' type='tcp'><source mode='connect' host='h' service='1'><reconnect enabled='yes' timeout='9'/></source>"),
			Domain{RNGs: []RNG{{Backend: "egd", Type: "tcp", Mode: "connect", Reconnect: 9}}}},
		{"egd over UDP", rng("model='egd' type='udp'><source mode='bind' service='1'/><source mode='connect' host='h' service='2'/>"),
			Domain{RNGs: []RNG{{Backend: "egd", Type: "udp", Mode: "connect"}}}},

		{"port", port("<source mode='connect' path='/p'><reconnect enabled='yes' timeout='1'/></source>"),
			Domain{Channels: []Channel{{Mode: "connect", Path: "/p", Reconnect: 1, Relabels: true}}}},
		{"port that is left alone", port("<source mode='connect' path='/p'><seclabel model='selinux' relabel='no'/><seclabel model='dac' relabel='no'/></source>"),
			Domain{Channels: []Channel{{Mode: "connect", Path: "/p"}}}},
		{"other ports", strings.ReplaceAll(port(""), EntropyPort, "org.qemu.guest_agent.0") + strings.ReplaceAll(port(""), "unix", "pty") +
			"<devices><channel type='smoke'><source path='/a'/></channel><channel type='spicevmc'/><channel type='unix'><target type='guestfwd' address='10.0.2.1' port='1'/></channel></devices>", Domain{}},

		{"drawn labels", "<seclabel model='dac'><label>+107:+108</label></seclabel>", Domain{UID: uid(107)}},
		{"numbers of an operator's", "<seclabel type='static' model='dac'><label>64055:107</label></seclabel>", Domain{UID: uid(64055)}},
		{"names of an operator's", "<seclabel type='static' model='dac'><label> root:root </label></seclabel>", Domain{UID: uid(0)}},
		{"no such user", "<seclabel model='dac'><label>no-such-user:kvm</label></seclabel>", Domain{}},
		{"no number", "<seclabel model='dac'><label>+root:+root</label></seclabel>", Domain{}},
		{"(uid_t)-1", "<seclabel model='dac'><label>+4294967295:+0</label></seclabel>", Domain{}},
		{"not drawn yet", "<seclabel type='dynamic' model='dac' relabel='yes'/>", Domain{}},
		{"SELinux", "<seclabel model='selinux'><label>s:r:svirt_t:s0:c1</label><imagelabel>s:o:svirt_image_t:s0:c1</imagelabel></seclabel>",
			Domain{Label: "s:o:svirt_image_t:s0:c1"}},
		{"AppArmor", "<seclabel model='apparmor'><label>libvirt-6b0d</label><imagelabel>libvirt-6b0d</imagelabel></seclabel>", Domain{}},
	} {
		got, err := ParseDomain([]byte("<domain type='kvm'>" + test.in + "</domain>"))
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %s %v, want %s", test.name, show(got), err, show(test.want))
		}
	}
}

func show(d Domain) string {
	s := fmt.Sprintf("%+v", d)
	if d.Policy != nil {
		s += fmt.Sprintf(" policy %+v", *d.Policy)
	}
	if d.UID != nil {
		s += fmt.Sprintf(" uid %d", *d.UID)
	}
	return s
}

func TestParseDomainRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":             "",
		"text":                "domain",
		"another document":    "<network/>",
		"another's domain":    "<domain xmlns='urn:x'/>",
		"a document too many": "<domain/><domain/>",
		"text behind it":      "<domain/>x",
		"an end that is none": "<domain></name></domain>",
		"no end":              "<domain><name>a</name>",
		"an id that is none":  "<domain id='x'/>",
		"an id too large":     "<domain id='4294967296'/>",
		"a UUID too short":    "<domain><uuid>6b0d5f6e-4652-4b95-a7f3-30e85b7cf76</uuid></domain>",
		"a UUID that is none": "<domain><uuid>6b0d5f6e-4652-4b95-a7f3-30e85b7cf76x</uuid></domain>",
		"an unknown entity":   "<domain><name>&x;</name></domain>",
		"too many devices":    "<domain><devices>" + strings.Repeat("<rng/>", maxDevices+1) + "</devices></domain>",
		"too many ports": "<domain><devices>" + strings.Repeat("<channel type='unix'><target type='virtio' name='"+EntropyPort+"'/></channel>", maxDevices+1) +
			"</devices></domain>",
		"too much": "<domain>" + strings.Repeat(" ", MaxXML) + "</domain>",
	} {
		if d, err := ParseDomain([]byte(in)); err == nil || !strings.HasPrefix(err.Error(), "domain XML: ") {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}

func TestPolicyIsBounded(t *testing.T) {
	many := bytes.Repeat([]byte("<h:"+strings.Repeat("x", 100)+"/>"), 1000)
	d, err := ParseDomain([]byte("<domain xmlns:h='" + PolicyNamespace + "'><metadata>" + string(many) + "</metadata></domain>"))
	if err != nil || len(d.Policy.Unknown) != MaxUnknown || len(d.Policy.Unknown[0]) > MaxValue {
		t.Fatalf("%+v %v", d, err)
	}
}

func TestOwnerByName(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		need.Unmet(t, err)
	}
	got := uidOf(me.Username + ":kvm")
	if got == nil || fmt.Sprint(*got) != me.Uid {
		t.Fatalf("%s is %v", me.Username, got)
	}
}
