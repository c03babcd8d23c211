package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"headgate/hostd/control"
)

// domains puts one of every kind in libvirt, and what hostd has of them.
func domains(t *testing.T, r *rig) *fakeLibvirt {
	f := r.libvirt(t)
	wired := func(name string) string { return strings.ReplaceAll(stale, "old", name) }
	uuid := func(n int) string { return fmt.Sprintf("0f1e2d3c-4b5a-6978-8796-%012d", n) }
	f.domain("web2", uuid(2), 0, silver, wired("web2"))
	f.domain("web1", uuid(1), 7, silver, wired("web1")+urandom)
	f.domain("clone", uuid(3), 8, "", wired("web1"))
	f.domain("plain", uuid(4), 9, "", "")
	f.domain("old", uuid(5), 10, "", urandom)
	f.domain("bare", uuid(6), 11, "", wired("bare"))
	f.domain("broken", uuid(7), 12, "", "")
	f.domain("ported", uuid(8), 13, "", strings.ReplaceAll(stalePort, "old", "ported"))
	f.fail["xml "+uuid(7)] = errors.New("libvirtd hung up")
	pipe := func(name string) []control.PipeStatus {
		return []control.PipeStatus{{Kind: "qemu", Path: "/run/headgate/guests/" + name + ".sock", Connected: true}}
	}
	s := busyStatus()
	s.Libvirt = control.LibvirtStatus{Follow: true, Error: "connect: no such\x1bfile", Guests: "/run/headgate/guests"}
	s.Guests = []control.GuestStatus{
		{Name: "web1", Class: "silver", Rate: 2048, Burst: 8192, Weight: 2, Bytes: 65536, Seeded: true, FirstBytes: 0.012,
			Pipes: pipe("web1"), Domain: &control.DomainStatus{UUID: uuid(1), ID: 7, Problems: []control.Problem{{Kind: control.DomainPolicy, Text: `domain web1: policy not understood: attribute "colour"`}}}},
		{Name: "clone", Class: "default", Rate: 1024, Burst: 4096, Weight: 1,
			Domain: &control.DomainStatus{UUID: uuid(3), ID: 8, Problems: []control.Problem{{Kind: control.DomainMiswired, Text: "it connects to the socket of web1: hostd libvirt attach clone --replace"}}}},
	}
	r.fake.Snapshot = s
	return f
}

func TestLibvirtStatus(t *testing.T) {
	r := newRig(t)
	r.libvirt(t)
	if code, out, errs := r.run(t, "libvirt", "status"); code != 0 || out != "libvirt has no domain.\n" || errs != "" {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	f := domains(t, r)
	code, out, errs := r.run(t, "libvirt", "status")
	golden(t, "libvirt_status", out)
	if code != 0 || errs != "" {
		t.Errorf("exit %d: %s", code, errs)
	}
	_, out, _ = r.run(t, "libvirt", "status", "--json")
	golden(t, "libvirt_status_json", out)
	code, out, errs = r.run(t, "libvirt", "status", "--control", "/nonexistent/c.sock")
	golden(t, "libvirt_status_alone", out)
	if code != 0 || errs != "" {
		t.Errorf("without hostd: exit %d: %s", code, errs)
	}
	var rows []domainRow
	code, out, errs = r.run(t, "libvirt", "status", "--json", "--control", "/nonexistent/c.sock")
	if code != 0 || !strings.HasPrefix(errs, "note: no hostd answers at") || json.Unmarshal([]byte(out), &rows) != nil || len(rows) != 8 {
		t.Errorf("without hostd: exit %d: %s%s", code, out, errs)
	}
	f.fail["list"] = errors.New("list the domains: libvirtd does not answer")
	if code, _, errs := r.run(t, "libvirt", "status"); code != 1 || errs != "hostd: list the domains: libvirtd does not answer\n" {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestLibvirtXML(t *testing.T) {
	r := newRig(t)
	r.fake.Snapshot.Classes = classes()
	f := r.libvirt(t)
	f.domain("web1", fakeUUID, 0, "", "")
	code, out, errs := r.run(t, "libvirt", "xml", "web1", "--class", "gold", "--rate", "2KiB/s", "--weight", "3", "--port")
	golden(t, "libvirt_xml", out)
	if code != 0 || errs != "" {
		t.Errorf("exit %d: %s", code, errs)
	}
	metadata, devices, _ := strings.Cut(out, "<!-- in <devices> -->")
	d := parsed(t, "<domain><metadata>"+metadata+"</metadata><devices>"+devices+"</devices></domain>")
	if len(d.RNGs) != 1 || len(d.Channels) != 1 || d.Policy == nil || d.Policy.Class != "gold" {
		t.Errorf("%+v", d)
	}
	_, byUUID, _ := r.run(t, "libvirt", "xml", fakeUUID)
	_, byName, _ := r.run(t, "libvirt", "xml", "web1")
	if byUUID != byName || strings.Contains(byName, "metadata") {
		t.Errorf("%s and %s", byUUID, byName)
	}
	code, out, errs = r.run(t, "libvirt", "xml", "web9", "--control", "/nonexistent/c.sock")
	if code != 0 || !strings.Contains(out, "'/run/headgate/guests/web9.sock'") || !strings.HasPrefix(errs, `note: domain "web9": libvirt has no such domain`) {
		t.Errorf("one that is not there yet: exit %d: %s%s", code, out, errs)
	}
	for _, name := range []string{"my guest", "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"} {
		if code, out, errs := r.run(t, "libvirt", "xml", name); code != 1 || out != "" || !strings.Contains(errs, "goes by its UUID, which libvirt has to say") {
			t.Errorf("%s: exit %d: %s%s", name, code, out, errs)
		}
	}
	if code, _, errs := r.run(t, "libvirt", "xml", "web1", "--class", "mine"); code != 1 || !strings.Contains(errs, "policy class: a domain may not choose class") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestNoLibvirt(t *testing.T) {
	r := newRig(t)
	r.dialLibvirt = dialLibvirt
	for args, say := range map[string]string{
		"attach web1": "no libvirt is at /nonexistent/sock: start it with \"systemctl start libvirtd\", or name its socket with --libvirt",
		"detach web1": "no libvirt is at /nonexistent/sock",
		"status":      "no libvirt is at /nonexistent/sock",
	} {
		code, _, errs := r.run(t, append(append([]string{"libvirt"}, strings.Fields(args)...), "--libvirt", "/nonexistent/sock")...)
		if code != 1 || !strings.Contains(errs, say) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: exit %d: %s", args, code, errs)
		}
	}
	var asked [][]string
	r.dialLibvirt = func(_ context.Context, sockets []string) (libvirtd, error) {
		asked = append(asked, sockets)
		return nil, fs.ErrPermission
	}
	r.run(t, "libvirt", "attach", "web1")
	r.run(t, "libvirt", "status")
	if len(asked) != 2 || strings.HasSuffix(asked[0][0], "-ro") || !strings.HasSuffix(asked[1][0], "-ro") {
		t.Errorf("%q", asked)
	}
}

func TestLibvirtMisuse(t *testing.T) {
	r := newRig(t)
	r.libvirt(t)
	for args, say := range map[string]string{
		"libvirt frob":                     `hostd libvirt has no command "frob"; see "hostd libvirt --help"`,
		"libvirt attach":                   "hostd libvirt attach: DOMAIN is missing",
		"libvirt attach a b":               `"b" is too much`,
		"libvirt attach a --rate x":        `"x" is not a rate`,
		"libvirt attach a --weight x":      "invalid argument",
		"libvirt attach a --weight 0":      "--weight 0 is out of bounds; allowed: 1 to 1000",
		"libvirt attach a --class=":        "--class is empty",
		"libvirt xml":                      "DOMAIN is missing",
		"libvirt detach":                   "DOMAIN is missing",
		"libvirt detach a --class x":       "unknown flag: --class",
		"libvirt status all":               `"all" is too much`,
		"libvirt install-hook /etc":        `"/etc" is too much`,
		"status --libvirt /run/libvirt/xx": "unknown flag: --libvirt",
	} {
		code, out, errs := r.run(t, strings.Fields(args)...)
		if code != 2 || out != "" || !strings.Contains(errs, say) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: exit %d: %s%s", args, code, out, errs)
		}
	}
}
