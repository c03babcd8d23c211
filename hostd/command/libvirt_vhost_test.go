package command

import (
	"errors"
	"strings"
	"testing"

	"headgate/hostd/control"
	"headgate/kvm/libvirt"
)

const (
	vhostPath = "/run/headgate/guests/web1.vhost/sock"
	backing   = "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>"
)

// vhost is a vhost-user device as a domain's XML has it.
func vhost(path, options string) string {
	return "<qemu:commandline xmlns:qemu='" + libvirt.QEMUNamespace + "'><qemu:arg value='-chardev'/><qemu:arg value='socket,id=c,path=" + path + ",server=on" + options +
		"'/><qemu:arg value='-device'/><qemu:arg value='vhost-user-rng-pci,chardev=c'/></qemu:commandline>"
}

func TestAttachVhostUser(t *testing.T) {
	const off, on = 0, 7
	const added = "web1, configuration: vhost-user device at " + vhostPath + " added\n"
	egd := strings.ReplaceAll(own, "\n", " ")
	for _, c := range []struct {
		name    string
		id      int
		devices string
		beside  string // of <devices>
		args    string
		code    int
		calls   string
		say     []string // in what is printed, in this order
	}{
		{"a domain that is off", off, agent, "", "", 0, "define config",
			[]string{added, "note: with it web1 cannot be saved or migrated, its memory is shared with hostd, and it does not start without the hook, or while hostd is away\n"}},
		{"one that runs", on, "", "", "", 0, "define config", []string{added, "note: web1 has it from its next start on\n"}},
		{"live", on, "", "", "--live", 2, "", []string{"--vhost-user with --live: QEMU takes its command line at its start alone: leave --live out, and start the domain anew"}},
		{"live, too", on, "", "", "--live --config", 2, "", []string{"leave --live out"}},
		{"with a policy and the port", off, "", "", "--weight 2 --port", 0, "policy config, define config, attach config",
			[]string{"policy set: weight 2\n", added, "port at /run/headgate/guests/web1.port added\n"}},
		{"in place of hostd's other device", off, egd, "", "", 0, "define config, detach config", []string{added, "rng device at /run/headgate/guests/web1.sock removed\n"}},
		{"beside another device", off, urandom, "", "", 0, "define config",
			[]string{"note: web1 has another rng device random /dev/urandom too, and a guest's kernel uses one alone; take the other out: hostd libvirt attach web1 --replace --vhost-user\n"}},
		{"in place of another", off, urandom, "", "--replace", 0, "define config, detach config", []string{added, "/dev/urandom removed\n"}},
		{"a clone's", off, "", vhost("/run/headgate/guests/old.vhost/sock", "") + backing, "--replace", 0, "define config, define config",
			[]string{added, "vhost-user device at /run/headgate/guests/old.vhost/sock removed\n"}},
		{"a clone's without memory, which stays", off, "", vhost("/run/headgate/guests/old.vhost/sock", ""), "", 0, "define config", []string{added, "another vhost-user device"}},
		{"one without memory", off, "", vhost(vhostPath, ""), "", 0, "define config", []string{added}},
		{"one that does not wait", off, "", vhost(vhostPath, ",wait=off") + backing, "", 0, "",
			[]string{"nothing to do", "note: the vhost-user device at " + vhostPath + " has wait=off, with which QEMU does not start; mend it: hostd libvirt attach web1 --replace --vhost-user\n"}},
		{"one that is mended", off, "", vhost(vhostPath, ",wait=off") + backing, "--replace", 0, "define config, define config", []string{" removed\n", added}},
		{"memory that is not to be shared", off, "", "<memoryBacking><access mode='private'/></memoryBacking>", "", 1, "define config",
			[]string{"hostd: domain web1, configuration: domain \"web1\": its XML says that its memory is not to be shared"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			f := r.libvirt(t)
			d := f.domain("web1", fakeUUID, c.id, "", c.devices)
			d.config = strings.Replace(d.config, "</devices>", "</devices>"+c.beside, 1)
			before := d.live
			args := append([]string{"libvirt", "attach", "web1", "--vhost-user"}, strings.Fields(c.args)...)
			code, out, errs := r.run(t, args...)
			if code != c.code || strings.Join(f.calls, ", ") != c.calls || d.live != before || len(r.fake.Hooks) > 0 {
				t.Errorf("exit %d, %v\n%s%s", code, f.calls, out, errs)
			}
			saysInOrder(t, out+errs, c.say)
			if c.code != 0 || c.calls == "" {
				return
			}
			if v, ok := parsed(t, d.config).Vhost(vhostPath); !ok || v.Flaw() != "" {
				t.Errorf("%+v in\n%s", v, d.config)
			}
			f.calls = nil
			if code, out, _ := r.run(t, args...); code != 0 || len(f.calls) > 0 || !strings.Contains(out, "nothing to do, it is so already") {
				t.Errorf("a second time: exit %d, %v\n%s", code, f.calls, out)
			}
		})
	}
}

// A domain that has a vhost-user device, and is to have an rng device again.
func TestAttachBesideAVhostUserDevice(t *testing.T) {
	r := newRig(t)
	f := r.libvirt(t)
	d := f.domain("web1", fakeUUID, 7, "", "")
	for _, text := range []*string{&d.live, &d.config} {
		*text = strings.Replace(*text, "</devices>", "</devices>"+backing+vhost(vhostPath, ""), 1)
	}
	_, out, errs := r.run(t, "libvirt", "attach", "web1", "--replace")
	if strings.Join(f.calls, ", ") != "attach live, attach config, define config" ||
		!strings.Contains(out, "note: web1 has another vhost-user device at "+vhostPath+" too, which goes with its next start alone\n") || errs != "" {
		t.Errorf("%v\n%s%s", f.calls, out, errs)
	}
	if left := parsed(t, d.config); len(left.Vhosts) != 0 || len(left.RNGs) != 1 {
		t.Errorf("%+v", left)
	}
	f.calls = nil
	d.config = strings.Replace(d.config, "</devices>", "</devices>"+vhost(vhostPath, ""), 1)
	if _, out, _ := r.run(t, "libvirt", "attach", "web1"); len(f.calls) > 0 {
		t.Errorf("%v\n%s", f.calls, out)
	}
}

func TestDetachVhostUser(t *testing.T) {
	r := newRig(t)
	f := r.libvirt(t)
	d := f.domain("web1", fakeUUID, 7, "", "")
	d.live = strings.Replace(d.live, "</devices>", "</devices>"+backing+vhost(vhostPath, ""), 1)
	if code, _, errs := r.run(t, "libvirt", "attach", "web1", "--vhost-user"); code != 0 {
		t.Fatal(errs)
	}
	code, out, errs := r.run(t, "libvirt", "detach", "web1")
	for _, say := range []string{
		"web1, configuration: vhost-user device at " + vhostPath + " removed\n",
		"note: the vhost-user device at " + vhostPath + " cannot go while the domain runs\n",
		"note: the domain's memory stays shared: ",
	} {
		if !strings.Contains(out, say) {
			t.Errorf("%q is not in\n%s", say, out)
		}
	}
	if left := parsed(t, d.config); code != 0 || errs != "" || len(left.Vhosts) != 0 || strings.Contains(d.config, "qemu:") || !strings.Contains(d.config, "memfd") {
		t.Errorf("exit %d, %s\n%s", code, errs, d.config)
	}
	d.Persistent = false
	if code, _, errs := r.run(t, "libvirt", "attach", "web1", "--vhost-user"); code != 1 || !strings.Contains(errs, "transient and has no next start: leave --vhost-user out\n") {
		t.Errorf("a transient one: exit %d: %s", code, errs)
	}
	f.fail["define config"] = errors.New("libvirt: no")
	d.Persistent = true
	if code, _, errs := r.run(t, "libvirt", "attach", "web1", "--vhost-user"); code != 1 || !strings.Contains(errs, "web1, configuration: libvirt: no\n") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestXMLOfAVhostUserDevice(t *testing.T) {
	r := newRig(t)
	r.libvirt(t).domain("web1", fakeUUID, 0, "", "")
	code, out, errs := r.run(t, "libvirt", "xml", "web1", "--vhost-user")
	golden(t, "libvirt_xml_vhost", out)
	if code != 0 || errs != "" {
		t.Errorf("exit %d: %s", code, errs)
	}
	if d := parsed(t, "<domain>"+out+"</domain>"); len(d.Vhosts) != 1 || d.Vhosts[0].Flaw() != "" || d.Vhosts[0].Path != vhostPath {
		t.Errorf("%+v", d)
	}
	if _, out, _ := r.run(t, "libvirt", "xml", "web1", "--vhost-user", "--port"); !strings.Contains(out, "<!-- in <devices> -->\n<channel") || strings.Contains(out, "<rng") {
		t.Error(out)
	}
}

func TestStatusOfAVhostUserDevice(t *testing.T) {
	r := newRig(t)
	f := r.libvirt(t)
	for i, name := range []string{"web1", "web2"} {
		d := f.domain(name, fakeUUID[:len(fakeUUID)-1]+string(rune('0'+i)), 7+i, "", "")
		d.live = strings.Replace(d.live, "</devices>", "</devices>"+backing+vhost("/run/headgate/guests/"+name+".vhost/sock", ""), 1)
	}
	r.fake.Snapshot.Guests = []control.GuestStatus{{Name: "web1", Class: "gold", Rate: 1024, Burst: 4096, Weight: 1, Seeded: true,
		Pipes: []control.PipeStatus{{Kind: "vhost-user", Path: vhostPath, Connected: true}}}}
	_, out, errs := r.run(t, "libvirt", "status")
	lines := strings.Split(out, "\n")
	if errs != "" || len(lines) != 4 || strings.Join(strings.Fields(lines[1])[:5], " ") != "web1 running vhost-user fed gold" ||
		strings.Join(strings.Fields(lines[2])[:4], " ") != "web2 running vhost-user none" {
		t.Errorf("%s%s", out, errs)
	}
	if _, out, _ := r.run(t, "libvirt", "status", "--json"); strings.Count(out, `"vhosts"`) != 2 {
		t.Error(out)
	}
}
