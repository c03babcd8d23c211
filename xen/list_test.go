package xen

import (
	"errors"
	"io/fs"
	"testing"
	"testing/fstest"
)

func TestDomainsAndFind(t *testing.T) {
	h := newHost(t)
	h.boot(12, "web1", uuid5)
	h.boot(5, "web1", uuid5) // as while it is migrated within the host
	h.boot(6, "12", uuid6)
	offers(t, h.connect(5), "9", "3")
	all, err := Domains(h.tools)
	if err != nil || len(all) != 3 || all[0].ID != 5 || all[1].ID != 6 || all[2].ID != 12 {
		t.Fatalf("%+v, %v", all, err)
	}
	for key, want := range map[string]uint16{"web1": 5, uuid5: 5, "5": 5, "12": 12, "6": 6, uuid6: 6} {
		if d, err := Find(h.tools, key); err != nil || d.ID != want {
			t.Errorf("%s is %d, %v; want %d", key, d.ID, err, want)
		}
	}
	offers(t, h.connect(12), "9", "3")
	if d, err := Find(h.tools, "web1"); err != nil || d.ID != 12 {
		t.Errorf("of two that offer: %d, %v", d.ID, err)
	}
	own, err := Domains(h.connect(5)) // as a driver domain sees it
	if err != nil || len(own) != 2 || own[0].ID != 6 {
		t.Errorf("%+v, %v", own, err)
	}
	for _, key := range []string{"", "0", "web", "32752", "05"} {
		if d, err := Find(h.tools, key); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q is %d, %v", key, d.ID, err)
		}
	}
}

func TestPolicyOfNoUUID(t *testing.T) {
	h := newHost(t)
	for _, bad := range []string{"", "web1", "..", uuid5 + "0"} {
		if err := SetPolicy(h.tools, bad, Policy{}); err == nil {
			t.Errorf("policy of %q", bad)
		}
	}
	if there, err := RemovePolicy(h.tools, uuid5); there || err != nil {
		t.Error(there, err)
	}
	if err := SetPolicy(h.tools, uuid5, Policy{Class: "a", Rate: "b", Weight: "c"}); err != nil {
		t.Fatal(err)
	}
	if err := SetPolicy(h.tools, uuid5, Policy{Class: "d"}); err != nil { // in its place
		t.Fatal(err)
	}
	nodes, err := h.tools.List(PolicyPath + "/" + uuid5)
	if err != nil || len(nodes) != 1 {
		t.Errorf("%v, %v", nodes, err)
	}
	if there, err := RemovePolicy(h.tools, uuid5); !there || err != nil {
		t.Error(there, err)
	}
	if there, err := RemovePolicy(h.tools, uuid5); there || err != nil {
		t.Error(there, err)
	}
}

func TestDom0(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	const capabilities, kind, features = "proc/xen/capabilities", "sys/hypervisor/type", "sys/hypervisor/properties/features"
	for _, c := range []struct {
		what string
		fs   fstest.MapFS
		want error
	}{
		{"a plain machine", fstest.MapFS{}, errNoXen},
		{"another hypervisor", fstest.MapFS{kind: file("kvm\n")}, errNoXen},
		{"dom0 with xenfs", fstest.MapFS{capabilities: file("control_d\n")}, nil},
		{"dom0 without", fstest.MapFS{capabilities: file(""), kind: file("xen\n"), features: file("00002705\n")}, errNotOne},
		{"dom0's bit", fstest.MapFS{kind: file("xen\n"), features: file("0000000000000b65\n")}, nil},
		{"a guest", fstest.MapFS{kind: file("xen\n"), features: file("00000705\n")}, errNotOne},
		{"nonsense", fstest.MapFS{kind: file("xen\n"), features: file("x\n")}, errNotOne},
	} {
		if err := dom0(c.fs); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
	}
}
