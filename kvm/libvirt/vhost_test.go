package libvirt

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const someVhost = "/run/headgate/guests/a.vhost/sock"

// arg writes arguments as a domain's XML has them.
func arg(values ...string) string {
	var b strings.Builder
	for _, v := range values {
		b.WriteString("<qemu:arg value='" + escapes.Replace(v) + "'/>")
	}
	return b.String()
}

func passed(values ...string) string {
	return "<qemu:commandline xmlns:qemu='" + QEMUNamespace + "'>" + arg(values...) + "</qemu:commandline>"
}

const sharedMemory = "<memoryBacking><access mode='shared'/></memoryBacking>"

func TestVhostAmongArguments(t *testing.T) {
	const device = "vhost-user-rng-pci,chardev=c"
	for _, c := range []struct {
		name string
		args []string
		want []Vhost
	}{
		{"as it is written", []string{"-chardev", "socket,id=c,path=/s,server=on,wait=on", "-device", device + ",addr=0x1c"}, []Vhost{{Path: "/s", Server: true, Wait: true}}},
		{"the device first", []string{"-device", device, "-chardev", "socket,id=c,path=/s,server=on"}, []Vhost{{Path: "/s", Server: true, Wait: true}}},
		{"two dashes", []string{"--chardev", "socket,id=c,path=/s,server=on", "--device", device}, []Vhost{{Path: "/s", Server: true, Wait: true}}},
		{"short", []string{"-chardev", "socket,id=c,path=/s,server,nowait", "-device", device}, []Vhost{{Path: "/s", Server: true}}},
		{"with its names", []string{"-chardev", "backend=socket,id=c,path=/s,server=yes,wait=n", "-device", "chardev=c,driver=vhost-user-rng-device"}, []Vhost{{Path: "/s", Server: true}}},
		{"JSON", []string{"-chardev", "socket,id=c,path=/s,server=on", "-device", `{"driver":"vhost-user-rng-pci","chardev":"c","vectors":2}`}, []Vhost{{Path: "/s", Server: true, Wait: true}}},
		{"a comma in the path", []string{"-chardev", "socket,id=c,path=/a,,b,,,server=on", "-device", device}, []Vhost{{Path: "/a,b,", Server: true, Wait: true}}},
		{"the last of two counts", []string{"-chardev", "socket,id=c,path=/a,path=/b,server=on", "-device", device}, []Vhost{{Path: "/b", Server: true, Wait: true}}},
		{"a client", []string{"-chardev", "socket,id=c,path=/s,reconnect=1", "-device", device}, []Vhost{{Path: "/s", Reconnect: 1}}},
		{"a client of a later QEMU", []string{"-chardev", "socket,id=c,path=/s,reconnect-ms=1500", "-device", device}, []Vhost{{Path: "/s", Reconnect: 1}}},
		{"TCP", []string{"-chardev", "socket,id=c,host=h,port=1,server=on", "-device", device}, []Vhost{{Server: true, Wait: true}}},
		{"another backend", []string{"-chardev", "pipe,id=c,path=/s", "-device", device}, []Vhost{{}}},
		{"another's chardev", []string{"-chardev", "socket,id=d,path=/s,server=on", "-device", device}, []Vhost{{}}},
		{"two", []string{"-device", "vhost-user-rng-pci,chardev=d", "-chardev", "socket,id=d,path=/d,server=on", "-chardev", "socket,id=c,path=/s", "-device", device},
			[]Vhost{{Path: "/d", Server: true, Wait: true}, {Path: "/s"}}},
		{"other devices", []string{"-device", "vhost-user-fs-pci,chardev=c", "-device", "virtio-rng-pci", "-device", `{"driver":["vhost-user-rng-pci"]}`, "-device", "", "-chardev"}, nil},
		{"no options at all", []string{"vhost-user-rng-pci", "-", "--", "-device"}, nil},
	} {
		d, err := ParseDomain([]byte("<domain>" + passed(c.args...) + sharedMemory + "</domain>"))
		if err != nil || !reflect.DeepEqual(d.Vhosts, c.want) {
			t.Errorf("%s: %+v %v, want %+v", c.name, d.Vhosts, err, c.want)
		}
	}
	split := passed("-chardev", "socket,id=c,path=/s,server=on", "-device") + passed(device) // libvirt takes all that there are
	for text, want := range map[string]int{
		"<domain>" + split + "</domain>": 1,
		"<domain>" + strings.ReplaceAll(passed("-device", device), QEMUNamespace, "urn:x") + "</domain>": 0,
		"<domain><devices>" + passed("-device", device) + "</devices></domain>":                          0,
	} {
		if d, err := ParseDomain([]byte(text)); err != nil || len(d.Vhosts) != want {
			t.Errorf("%s: %+v %v", text, d.Vhosts, err)
		}
	}
	if d, err := ParseDomain([]byte("<domain>" + passed(slices.Repeat([]string{"-device", device}, maxDevices+1)...) + "</domain>")); err == nil {
		t.Errorf("too many: %d", len(d.Vhosts))
	}
}

func TestWhoseMemoryIsShared(t *testing.T) {
	const vhost, backing = "-device", "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>"
	cells := func(access ...string) string {
		text := ""
		for _, a := range access {
			if a != "" {
				a = " memAccess='" + a + "'"
			}
			text += "<cell id='0'" + a + "/>"
		}
		return "<cpu><numa>" + text + "</numa></cpu>"
	}
	for _, c := range []struct {
		in      string
		private bool
		gets    string // what Edit puts in; "error": it refuses
	}{
		{"", true, SharedMemoryXML},
		{backing, false, ""},
		{"<memoryBacking><access mode='shared'/></memoryBacking>", false, memfd},
		{"<memoryBacking/>", true, memfd + "\n" + shared},
		{"<memoryBacking><hugepages/></memoryBacking>", true, shared},
		{"<memoryBacking><source type='file'/></memoryBacking>", true, shared},
		{"<memoryBacking><source type='anonymous'/></memoryBacking>", true, "error"},
		{"<memoryBacking><access mode='private'/></memoryBacking>", true, "error"},
		{"<memoryBacking><access mode='private'/></memoryBacking>" + cells("shared", "shared"), false, memfd},
		{"<memoryBacking><access mode='private'/><access mode='shared'/></memoryBacking>", true, "error"},
		{"<memoryBacking/>" + backing, false, ""},
		{cells("", ""), true, SharedMemoryXML},
		{cells("shared", "shared"), false, SharedMemoryXML},
		{cells("shared", ""), true, SharedMemoryXML},
		{cells("shared", "") + backing, false, ""},
		{cells("shared", "private") + backing, true, "error"},
		{cells(slices.Repeat([]string{"shared"}, 2*maxCells)...), false, SharedMemoryXML},
		{cells(append(slices.Repeat([]string{"shared"}, 2*maxCells), "private")...), true, "error"},
		{"<x:memoryBacking xmlns:x='y'><access mode='shared'/></x:memoryBacking>", true, SharedMemoryXML},
	} {
		text := "<domain>" + c.in + passed(vhost, "vhost-user-rng-pci") + "</domain>"
		d, err := ParseDomain([]byte(text))
		if err != nil || len(d.Vhosts) != 1 || d.Vhosts[0].Private != c.private {
			t.Errorf("%s: %+v %v", clip(c.in), d.Vhosts, err)
		}
		out, err := Edit([]byte(text), Wiring{Vhost: someVhost})
		got := string(out)
		for _, element := range []string{memfd, shared} {
			if n := strings.Count(got, element) - strings.Count(c.in, element); (n == 1) != strings.Contains(c.gets, element) {
				t.Errorf("%s: %s is put in %d times: %v\n%s", clip(c.in), element, n, err, clip(got))
			}
		}
		if (err != nil) != (c.gets == "error") {
			t.Errorf("%s: %v", clip(c.in), err)
		}
	}
}

func TestVhostFlaws(t *testing.T) {
	for _, c := range []struct {
		v    Vhost
		says string
	}{
		{Vhost{Server: true, Wait: true}, ""},
		{Vhost{}, "connects there itself"},
		{Vhost{Reconnect: 1, Private: true}, "connects there itself"},
		{Vhost{Server: true, Wait: true, Reconnect: 1}, "has reconnect"},
		{Vhost{Server: true}, "has wait=off"},
		{Vhost{Server: true, Wait: true, Private: true}, "has memory that is not shared"},
	} {
		if got := c.v.Flaw(); !strings.HasPrefix(got, c.says) || (got == "") != (c.says == "") {
			t.Errorf("%+v: %q", c.v, got)
		}
	}
}

func TestEditVhost(t *testing.T) {
	args := func(id, slot string) string {
		return "<qemu:arg value='-chardev'/>\n<qemu:arg value='socket,id=" + id + ",path=" + someVhost + ",server=on,wait=on'/>\n" +
			"<qemu:arg value='-device'/>\n<qemu:arg value='vhost-user-rng-pci,chardev=" + id + ",addr=" + slot + ",vectors=2'/>"
	}
	const open, end = "<qemu:commandline xmlns:qemu='" + QEMUNamespace + "'>\n", "\n</qemu:commandline>"
	backing := flat(t, SharedMemoryXML, nil)
	for _, c := range []struct{ name, in, want string }{
		{"all in one line", "<domain></domain>", "<domain>" + backing + open + args("headgate0", "0x1c") + end + "</domain>"},
		{"as libvirt prints it", "<domain>\n<memory>1</memory>\n<currentMemory>1</currentMemory>\n<devices/>\n</domain>",
			"<domain>\n<memory>1</memory>\n<currentMemory>1</currentMemory>\n" + backing + "\n<devices/>\n" + open + args("headgate0", "0x1c") + end + "\n</domain>"},
		{"its slot is taken", "<domain>" + memfdMemory + "<devices><disk><address type='pci' domain='0x0000' bus='0x00' slot='0x1c' function='0x0'/></disk>" +
			"<x><address type='pci' bus='0x01' slot='0x1b'/></x><y><address type='drive' slot='0x1b'/></y></devices></domain>", "slot 0x1b"},
		{"and that of another", "<domain>" + memfdMemory + passed("-device", "vhost-user-rng-pci,chardev=headgate0,addr=1c.0") + "</domain>", "slot 0x1b"},
		{"beside other arguments", "<domain xmlns:q='" + QEMUNamespace + "'>" + memfdMemory + "<q:commandline>\n<q:arg value='headgate0'/>\n<q:env name='a'/>\n</q:commandline></domain>",
			"<domain xmlns:q='" + QEMUNamespace + "'>" + memfdMemory + "<q:commandline>\n<q:arg value='headgate0'/>\n" +
				strings.ReplaceAll(args("headgate1", "0x1c"), "qemu:", "q:") + "\n<q:env name='a'/>\n</q:commandline></domain>"},
		{"into an empty one", "<domain>" + memfdMemory + "<commandline xmlns='" + QEMUNamespace + "' /></domain>",
			"<domain>" + memfdMemory + "<commandline xmlns='" + QEMUNamespace + "' >\n" + strings.ReplaceAll(args("headgate0", "0x1c"), "qemu:", "") + "\n</commandline></domain>"},
		{"there already", "<domain>" + memfdMemory + passed("-chardev", "socket,id=c,path="+someVhost+",server=on", "-device", "vhost-user-rng-pci,chardev=c") + "</domain>", "same"},
		{"and does not wait", "<domain>" + memfdMemory + passed("-chardev", "socket,id=c,path="+someVhost+",server,nowait", "-device", "vhost-user-rng-pci,chardev=c") + "</domain>", "error"},
		{"there already, without memory", "<domain><memory>1</memory>" + passed("-chardev", "socket,id=c,path="+someVhost+",server", "-device", "vhost-user-rng-pci,chardev=c") + "</domain>",
			"<domain><memory>1</memory>" + backing + passed("-chardev", "socket,id=c,path="+someVhost+",server", "-device", "vhost-user-rng-pci,chardev=c") + "</domain>"},
		{"no name left", "<domain>" + passed(slices.Collect(func(yield func(string) bool) {
			for n := range maxDevices {
				yield("headgate" + string(rune('0'+n/10)) + string(rune('0'+n%10)))
			}
			for n := range 10 {
				yield("headgate" + string(rune('0'+n)))
			}
		})...) + "</domain>", "error"},
	} {
		out, err := Edit([]byte(c.in), Wiring{Vhost: someVhost})
		got := flat(t, string(out), nil)
		switch slot, is := strings.CutPrefix(c.want, "slot "); {
		case is:
			if err != nil || !strings.Contains(got, ",addr="+slot+",") {
				t.Errorf("%s: %v\n%s", c.name, err, got)
			}
		case c.want == "error":
			if err == nil {
				t.Errorf("%s:\n%s", c.name, got)
			}
		default:
			if c.want == "same" {
				c.want = c.in
			}
			if err != nil || got != c.want {
				t.Errorf("%s: %v\n%s\nwant\n%s", c.name, err, got, c.want)
			}
		}
	}
	for _, bad := range []string{"a", "/\x00", "/" + strings.Repeat("a", maxPath)} {
		if out, err := Edit([]byte("<domain></domain>"), Wiring{Vhost: bad}); err == nil {
			t.Errorf("%q: %s", bad, out)
		}
	}
}

const memfdMemory = "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>"

// What was put in comes out again, and leaves nothing but the memory as it is.
func TestUnwire(t *testing.T) {
	printed := string(golden(t, "inactive.xml"))
	rapid.Check(t, func(t *rapid.T) {
		path := "/" + rapid.StringN(-1, -1, maxPath-1).Draw(t, "path")
		text := rapid.SampledFrom([]string{
			printed, "<domain></domain>", "<domain>\n  <a/>\n</domain>\n",
			"<domain>\n  " + strings.ReplaceAll(passed("-x"), "><", ">\n    <") + "\n</domain>\n",
		}).Draw(t, "domain")
		with, err := Edit([]byte(text), Wiring{Vhost: path})
		if err != nil {
			return // it cannot be written
		}
		d, err := ParseDomain(with)
		if v, ok := d.Vhost(path); err != nil || !ok || v.Flaw() != "" {
			t.Fatalf("%q is read as %+v, %v", path, d.Vhosts, err)
		}
		if same, err := Unwire(with, func(string) bool { return false }); err != nil || string(same) != string(with) {
			t.Fatalf("%v\n%s", err, same)
		}
		out, err := Unwire(with, func(socket string) bool { return socket == path })
		if err != nil {
			t.Fatal(err)
		}
		at := strings.Index(string(out), "<memoryBacking>")
		rest := string(out)[at:]
		rest = rest[strings.Index(rest, "</memoryBacking>")+len("</memoryBacking>"):]
		got := strings.TrimRight(string(out)[:at], " ") + strings.TrimPrefix(rest, "\n")
		if strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(text), " ") {
			t.Fatalf("left is\n%s\nof\n%s", got, text)
		}
	})
	if out, err := Unwire([]byte("<domain"), nil); err == nil {
		t.Errorf("%s", out)
	}
}
