package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"headgate/kvm/libvirt"
)

// fakeLibvirt is a libvirt that keeps its domains' XML and does nothing with it.
type fakeLibvirt struct {
	mu       sync.Mutex
	domains  []*fakeDomain
	calls    []string         // of what changes: "attach live", "detach config", …
	fail     map[string]error // by the call
	stubborn bool             // a running guest lets go of no device
	before   func(call string)
}

type fakeDomain struct {
	libvirt.Info
	live, config string
}

const fakeUUID = "a956bb3c-4652-4b95-a7f3-30e85b7cf76d"

// domain makes one that runs if id is not 0, with these devices, and a definition
// of the same.
func (f *fakeLibvirt) domain(name, uuid string, id int, policy, devices string) *fakeDomain {
	text := func(id string) string {
		return fmt.Sprintf("<domain type='qemu'%s>\n  <name>%s</name>\n  <uuid>%s</uuid>\n  <metadata>%s</metadata>\n  <devices>%s</devices>\n</domain>\n",
			id, name, uuid, policy, devices)
	}
	d := &fakeDomain{Info: libvirt.Info{Name: name, UUID: uuid, ID: id, Active: id > 0, Persistent: true}, config: text("")}
	if id > 0 {
		d.live = text(fmt.Sprintf(" id='%d'", id))
	}
	f.domains = append(f.domains, d)
	return d
}

func (f *fakeLibvirt) find(nameOrUUID string) (*fakeDomain, error) {
	i := slices.IndexFunc(f.domains, func(d *fakeDomain) bool { return d.Name == nameOrUUID || d.UUID == nameOrUUID })
	if i < 0 {
		return nil, fmt.Errorf("domain %q: %w", nameOrUUID, libvirt.ErrNoDomain)
	}
	return f.domains[i], nil
}

func (f *fakeLibvirt) Domains(context.Context, bool) ([]libvirt.Info, error) {
	var infos []libvirt.Info
	for _, d := range f.domains {
		infos = append(infos, d.Info)
	}
	return infos, f.fail["list"]
}

func (f *fakeLibvirt) Lookup(_ context.Context, nameOrUUID string) (libvirt.Info, error) {
	d, err := f.find(nameOrUUID)
	if err != nil {
		return libvirt.Info{}, err
	}
	return d.Info, nil
}

func (f *fakeLibvirt) XML(_ context.Context, uuid string, inactive bool) ([]byte, error) {
	d, err := f.find(uuid)
	if err != nil {
		return nil, err
	}
	text := d.live
	if inactive || !d.Active {
		text = d.config
	}
	return []byte(text), f.fail["xml "+uuid]
}

// change runs a change of one definition.
func (f *fakeLibvirt) change(verb, uuid string, live, config bool, edit func(text string) (string, error)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	d, err := f.find(uuid)
	if err != nil {
		return err
	}
	if live == config {
		return errors.New("the commands change one definition at a time")
	}
	text := &d.config
	call := verb + " config"
	if live {
		text, call = &d.live, verb+" live"
	}
	if f.before != nil {
		f.before(call)
	}
	f.calls = append(f.calls, call)
	if err := f.fail[call]; err != nil {
		return err
	}
	if f.stubborn && call == "detach live" {
		return nil
	}
	*text, err = edit(*text)
	return err
}

func (f *fakeLibvirt) AttachDevice(_ context.Context, uuid, xml string, live, config bool) error {
	return f.change("attach", uuid, live, config, func(text string) (string, error) {
		return strings.Replace(text, "</devices>", xml+"</devices>", 1), nil
	})
}

func (f *fakeLibvirt) DetachDevice(_ context.Context, uuid, xml string, live, config bool) error {
	return f.change("detach", uuid, live, config, func(text string) (string, error) {
		if !strings.Contains(text, xml) {
			return text, errors.New("libvirt: device not found: no matching device")
		}
		return strings.Replace(text, xml, "", 1), nil
	})
}

func (f *fakeLibvirt) SetPolicy(_ context.Context, uuid, xml string, live, config bool) error {
	return f.change("policy", uuid, live, config, func(text string) (string, error) {
		before, after, _ := strings.Cut(text, "<metadata>")
		_, after, _ = strings.Cut(after, "</metadata>")
		return before + "<metadata>" + xml + "</metadata>" + after, nil
	})
}

func (f *fakeLibvirt) Rewrite(_ context.Context, uuid string, edit func([]byte) ([]byte, error)) error {
	return f.change("define", uuid, false, true, func(text string) (string, error) {
		out, err := edit([]byte(text))
		return string(out), err
	})
}

func (f *fakeLibvirt) Version() (string, error) { return "9.0.0", nil }
func (f *fakeLibvirt) Close() error             { return nil }

// libvirt puts a fake libvirt beside the command line.
func (r *rig) libvirt(t *testing.T) *fakeLibvirt {
	t.Helper()
	f := &fakeLibvirt{fail: map[string]error{}}
	r.dialLibvirt = func(_ context.Context, sockets []string) (libvirtd, error) { return f, nil }
	return f
}

// parsed is a definition as the package libvirt reads it.
func parsed(t *testing.T, text string) libvirt.Domain {
	t.Helper()
	d, err := libvirt.ParseDomain([]byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return d
}
