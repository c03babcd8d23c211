package libvirt

import (
	"strings"
	"testing"
)

const (
	somePolicy = `<headgate:policy xmlns:headgate='urn:headgate:policy:1' class='gold'/>`
	someSocket = "/run/headgate/guests/a.sock"
	somePort   = "/run/headgate/guests/a.port"
)

// margins are gone, so that a table can show what is put where.
func flat(t *testing.T, device string, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(device) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return strings.Join(lines, "\n")
}

func TestEdit(t *testing.T) {
	device, err := RNGXML(someSocket)
	rng := flat(t, device, err)
	device, err = ChannelXML(somePort)
	port := flat(t, device, err)
	all := Wiring{RNG: someSocket, Port: somePort, Policy: &Policy{Class: "gold"}}
	for _, test := range []struct {
		name     string
		w        Wiring
		in, want string
	}{
		{"nothing to do", Wiring{}, "<domain/>x", "error"},
		{"nothing asked", Wiring{}, "<domain><a/></domain>", "<domain><a/></domain>"},
		{"an empty domain", all, "<domain/>", "error"},
		{"all in one line", all, "<domain></domain>",
			"<domain><metadata>\n" + somePolicy + "\n</metadata><devices>\n" + rng + "\n" + port + "\n</devices></domain>"},
		{"behind the title", Wiring{Policy: all.Policy}, "<domain>\n<name>a</name>\n<title>b</title>\n<devices/>\n</domain>",
			"<domain>\n<name>a</name>\n<title>b</title>\n<metadata>\n" + somePolicy + "\n</metadata>\n<devices/>\n</domain>"},
		{"empty elements", all, "<domain>\n<metadata/>\n<devices x='/>' />\n</domain>",
			"<domain>\n<metadata>\n" + somePolicy + "\n</metadata>\n<devices x='/>' >\n" + rng + "\n" + port + "\n</devices>\n</domain>"},
		{"last of the devices", Wiring{RNG: someSocket}, "<domain>\n<devices>\n<disk/>\n</devices>\n</domain>",
			"<domain>\n<devices>\n<disk/>\n" + rng + "\n</devices>\n</domain>"},
		{"before another rng", Wiring{RNG: someSocket}, "<domain>\n<devices>\n<rng/>\n<rng/>\n<disk/>\n</devices>\n</domain>",
			"<domain>\n<devices>\n" + rng + "\n<rng/>\n<rng/>\n<disk/>\n</devices>\n</domain>"},
		{"not into a comment", Wiring{RNG: someSocket}, "<domain><!-- <devices/> --><devices><![CDATA[</devices>]]></devices></domain>",
			"<domain><!-- <devices/> --><devices><![CDATA[</devices>]]>" + rng + "</devices></domain>"},
		{"there already", Wiring{RNG: someSocket, Port: somePort}, "<domain><devices>" + rng + port + "</devices></domain>",
			"<domain><devices>" + rng + port + "</devices></domain>"},
		{"the policy is another", Wiring{Policy: all.Policy},
			"<domain><metadata><x/><h:policy xmlns:h='urn:headgate:policy:1' rate='1'><y/></h:policy><x/><policy xmlns='urn:headgate:policy:1'/></metadata></domain>",
			"<domain><metadata><x/>" + somePolicy + "<x/></metadata></domain>"},
		{"a port elsewhere", Wiring{Port: "/run/b.port"}, "<domain><devices>" + port + "</devices></domain>", "error"},
		{"a socket that cannot be", Wiring{RNG: "a"}, "<domain></domain>", "error"},
		{"a port that cannot be", Wiring{Port: "a"}, "<domain></domain>", "error"},
		{"a policy that cannot be", Wiring{Policy: &Policy{Class: "\x00"}}, "<domain></domain>", "error"},
		{"too much", Wiring{RNG: someSocket}, "<domain>" + strings.Repeat(" ", MaxXML-17) + "</domain>", "error"},
	} {
		out, err := Edit([]byte(test.in), test.w)
		got := flat(t, string(out), nil)
		if err != nil {
			got = "error"
		}
		if got != test.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", test.name, err, clip(got), test.want)
		}
	}
}

// In a file as libvirt prints it, what is added looks as if libvirt had printed it.
func TestEditKeepsTheStyle(t *testing.T) {
	for _, file := range []string{"running.xml", "inactive.xml"} {
		text := string(golden(t, file))
		without := text
		for _, element := range []string{"rng", "metadata"} {
			from, to := strings.Index(without, "  <"+element), strings.LastIndex(without, "</"+element+">\n")+len("</"+element+">\n")
			without = strings.TrimRight(without[:from], " ") + without[to:]
		}
		out, err := Edit([]byte(without), Wiring{RNG: webRNG.Path, Policy: &Policy{Class: "gold", Rate: "4KiB/s"}})
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			line = strings.ReplaceAll(line, "'", `"`)
			if !strings.Contains(strings.ReplaceAll(text, "'", `"`), line) {
				t.Errorf("%s: the line %q is new", file, line)
			}
		}
	}
}
