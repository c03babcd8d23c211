package command

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"headgate/hostd/control"
)

func TestXenTables(t *testing.T) {
	r := newRig(t)
	empty := r.xenstored(t)
	for _, verb := range []string{"list", "status"} {
		if code, out, errs := r.run(t, "xen", verb, "--xenstore", empty.path, "--control", "/nonexistent/c.sock"); code != 0 ||
			!strings.HasSuffix(out, "nobody is fed meanwhile\nXen has no domain but dom0.\n") || errs != "" {
			t.Errorf("%s: exit %d: %s%s", verb, code, out, errs)
		}
	}
	f := xenDomains(t, r)
	for name, args := range map[string][]string{
		"xen_list":         {"xen", "list"},
		"xen_list_alone":   {"xen", "list", "--control", "/nonexistent/c.sock"},
		"xen_status":       {"xen", "status"},
		"xen_status_alone": {"xen", "status", "--control", "/nonexistent/c.sock"},
		"xen_status_json":  {"xen", "status", "--json"},
	} {
		code, out, errs := r.run(t, append(args, "--xenstore", f.path)...)
		if code != 0 || errs != "" {
			t.Errorf("%s: exit %d: %s", name, code, errs)
		}
		golden(t, name, out)
	}
	var rows []xenRow
	code, out, errs := r.run(t, "xen", "list", "--json", "--xenstore", f.path, "--control", "/nonexistent/c.sock")
	if code != 0 || !strings.HasPrefix(errs, "note: no hostd answers at") || json.Unmarshal([]byte(out), &rows) != nil || len(rows) != 10 {
		t.Errorf("without hostd: exit %d: %s%s", code, out, errs)
	}
}

// What hostd says of Xen as a whole stands over the table, and in its own status.
func TestXenUnseen(t *testing.T) {
	r := newRig(t)
	f := r.xenstored(t)
	for _, c := range []struct {
		xen           control.XenStatus
		over, instead string // in the table, in the status
	}{
		{control.XenStatus{Follow: true, Dom0: true, Connected: true, Socket: "/s", Domains: 2}, "", "XEN  follows the domains at /s; fed or to be: 2\n"},
		{control.XenStatus{Follow: true, Dom0: true, Connected: true, Socket: "/s", ProblemCount: 2}, "", "fed or to be: 0; 2 problems: hostd xen doctor\n"},
		{control.XenStatus{Follow: true, Dom0: true, Error: "gone\x1b"}, "note: hostd does not follow Xen: gone?\n", "XEN  does not see the domains: gone?\n"},
		{control.XenStatus{Dom0: true}, "note: hostd does not follow Xen: follow = false under [xen]", "XEN  the domains are not followed"},
		{control.XenStatus{Follow: true}, "", ""},
	} {
		r.fake.Snapshot.Xen = c.xen
		if _, out, _ := r.run(t, "xen", "status", "--xenstore", f.path); !strings.HasPrefix(out, c.over) || c.over == "" && out != "Xen has no domain but dom0.\n" {
			t.Errorf("%+v: %s", c.xen, out)
		}
		if _, out, _ := r.run(t, "status"); !strings.Contains(out, c.instead) || c.instead == "" && strings.Contains(out, "XEN") {
			t.Errorf("%+v: %s", c.xen, out)
		}
	}
}

func TestNoXen(t *testing.T) {
	r := newRig(t)
	for _, args := range []string{"list", "status", "attach web1", "detach web1"} {
		code, _, errs := r.run(t, append([]string{"xen"}, strings.Fields(args)...)...)
		if code != 1 || errs != "hostd: this is no dom0\n" {
			t.Errorf("%s: exit %d: %s", args, code, errs)
		}
		code, _, errs = r.run(t, append([]string{"xen", "--xenstore", "/nonexistent/sock"}, strings.Fields(args)...)...)
		if code != 1 || errs != "hostd: no xenstored is at /nonexistent/sock: leave --xenstore out to have it found\n" {
			t.Errorf("%s: exit %d: %s", args, code, errs)
		}
	}
	r.dom0 = func() error { return nil }
	if code, _, errs := r.run(t, "xen", "list"); code != 1 || strings.Count(errs, "\n") != 1 { // or this runs in a dom0
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestXenMisuse(t *testing.T) {
	r := newRig(t)
	r.dom0 = func() error { return errors.New("nobody is asked") }
	for args, say := range map[string]string{
		"xen frob":                  `hostd xen has no command "frob"; see "hostd xen --help"`,
		"xen attach":                "hostd xen attach: DOMAIN is missing",
		"xen attach a b":            `"b" is too much`,
		"xen attach a --rate x":     `"x" is not a rate`,
		"xen attach a --weight 0":   "--weight 0 is out of bounds; allowed: 1 to 1000",
		"xen attach a --class=":     "--class is empty",
		"xen detach":                "DOMAIN is missing",
		"xen detach a --class x":    "unknown flag: --class",
		"xen list all":              `"all" is too much`,
		"xen status all":            `"all" is too much`,
		"xen doctor a b":            `"b" is too much`,
		"status --xenstore /run/xx": "unknown flag: --xenstore",
	} {
		code, out, errs := r.run(t, strings.Fields(args)...)
		if code != 2 || out != "" || !strings.Contains(errs, say) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: exit %d: %s%s", args, code, out, errs)
		}
	}
}
