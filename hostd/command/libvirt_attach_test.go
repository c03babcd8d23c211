package command

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/kvm/libvirt"
)

// Devices of a domain, as libvirt writes them.
const (
	urandom = `
    <rng model='virtio'>
      <backend model='random'>/dev/urandom</backend>
      <address type='pci' domain='0x0000' bus='0x00' slot='0x04' function='0x0'/>
    </rng>`
	stale = `
    <rng model='virtio'>
      <backend model='egd' type='unix'><source mode='connect' path='/run/headgate/guests/old.sock'><reconnect enabled='yes' timeout='1'/></source></backend>
    </rng>`
	forgetful = `
    <rng model='virtio'>
      <backend model='egd' type='unix'><source mode='connect' path='/run/headgate/guests/web1.sock'/></backend>
    </rng>`
	own = `
    <rng model='virtio'>
      <backend model='egd' type='unix'><source mode='connect' path='/run/headgate/guests/web1.sock'><reconnect enabled='yes' timeout='1'/></source></backend>
    </rng>`
	binds = `
    <rng model='virtio'>
      <backend model='egd' type='unix'><source mode='bind' path='/run/headgate/guests/web1.sock'/></backend>
    </rng>`
	agent = `
    <channel type='unix'><source mode='bind' path='/x'/><target type='virtio' name='org.qemu.guest_agent.0'/></channel>`
	stalePort = `
    <channel type='unix'><source mode='connect' path='/run/headgate/guests/old.port'><reconnect enabled='yes' timeout='1'/></source><target type='virtio' name='org.headgate.entropy.0'/></channel>`
	silver = `<headgate:policy xmlns:headgate="urn:headgate:policy:1" class="silver" rate="2KiB/s" weight="3" colour="red"/>`
)

// classes are those that hostd knows in these tests.
func classes() []config.Class {
	c := config.Default().Classes
	return append(c,
		config.Class{Name: "gold", Rate: 8 << 10, Burst: 8 << 10, Weight: 4, Quality: "full", Selectable: true},
		config.Class{Name: "silver", Rate: 4 << 10, Burst: 4 << 10, Weight: 4, Quality: "full", Selectable: true},
		config.Class{Name: "mine", Rate: config.Unlimited, Burst: 8 << 10, Weight: 9, Quality: "full"})
}

func TestAttach(t *testing.T) {
	const off, on = 0, 7
	for _, c := range []struct {
		name            string
		id              int
		policy, devices string
		args            string
		code            int
		calls           string
		say             []string // in what is printed, in this order
	}{
		{"a domain that is off", off, "", agent, "", 0, "attach config",
			[]string{"web1, configuration: rng device at /run/headgate/guests/web1.sock added\n"}},
		{"one that runs", on, "", "", "", 0, "attach live, attach config", []string{"web1, running: rng", "web1, configuration: rng"}},
		{"live alone", on, "", "", "--live", 0, "attach live", []string{"web1, running"}},
		{"the configuration of one that runs", on, "", "", "--config", 0, "attach config", []string{"web1, configuration"}},
		{"live, when it is off", off, "", "", "--live", 1, "", []string{"hostd: domain web1 does not run: leave --live out\n"}},
		{"with a policy", on, "", "", "--live --class gold --rate 2KiB/s --weight 3", 0, "policy live, attach live",
			[]string{"web1, running: policy set: class gold, rate 2KiB/s, weight 3\n", "added\n"}},
		{"a rate over an older policy", off, silver, "", "--rate 1KiB/s", 0, "policy config, attach config",
			[]string{"class silver, rate 1KiB/s, weight 3\n"}},
		{"a class over an older policy", off, silver, "", "--class gold", 0, "policy config, attach config", []string{"policy set: class gold\n"}},
		{"a class that may not be chosen", off, "", "", "--class mine", 1, "",
			[]string{"hostd: domain web1: policy class: a domain may not choose class \"mine\""}},
		{"a rate above the class's", off, "", "", "--class gold --rate 9KiB/s", 1, "", []string{"policy rate: 9KiB/s is above the class's 8KiB/s"}},
		{"beside another device", off, "", urandom, "", 0, "attach config",
			[]string{"added\n", "note: web1 has another rng device random /dev/urandom too, and a guest's kernel uses one alone; take the other out: hostd libvirt attach web1 --replace\n"}},
		{"in place of another", on, "", urandom, "--replace", 0, "attach live, detach live, attach config, detach config",
			[]string{"added\n", "web1, running: rng device random /dev/urandom removed\n", "added", "removed"}},
		{"a clone's stale device", off, "", stale, "--replace", 0, "attach config, detach config",
			[]string{"guests/web1.sock added\n", "guests/old.sock removed\n"}},
		{"a device that does not reconnect", off, "", forgetful, "", 0, "",
			[]string{"nothing to do", "note: the rng device at /run/headgate/guests/web1.sock does not reconnect, and gets nothing once hostd was restarted; mend it: hostd libvirt attach web1 --replace\n"}},
		{"a device that waits itself", off, "", binds, "", 0, "", []string{"nothing to do", "waits there itself, where hostd does; mend it: "}},
		{"the same one twice", off, "", own + own, "--replace", 0, "detach config", []string{"removed\n"}},
		{"one that is mended", off, "", forgetful, "--replace", 0, "detach config, attach config", []string{"removed\n", "added\n"}},
		{"with the port", off, "", agent, "--port", 0, "attach config, attach config", []string{"rng device", "port at /run/headgate/guests/web1.port added\n"}},
		{"with a stale port", off, "", stalePort, "--port", 0, "attach config",
			[]string{"note: there is a port at /run/headgate/guests/old.port already; put the right one in its place: hostd libvirt attach web1 --replace --port\n"}},
		{"in place of a stale port", off, "", stalePort, "--port --replace", 0, "attach config, detach config, attach config",
			[]string{"web1.sock added\n", "old.port removed\n", "web1.port added\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.fake.Snapshot.Classes = classes()
			f := r.libvirt(t)
			d := f.domain("web1", fakeUUID, c.id, c.policy, c.devices)
			args := append([]string{"libvirt", "attach", "web1"}, strings.Fields(c.args)...)
			code, out, errs := r.run(t, args...)
			if code != c.code || strings.Join(f.calls, ", ") != c.calls {
				t.Errorf("exit %d, %v\n%s%s", code, f.calls, out, errs)
			}
			saysInOrder(t, out+errs, c.say)
			for _, text := range []string{d.live, d.config} {
				if text != "" {
					parsed(t, text)
				}
			}
			if c.code != 0 || strings.Contains(c.say[len(c.say)-1], "--replace") {
				return
			}
			f.calls = nil
			if code, out, _ := r.run(t, args...); code != 0 || len(f.calls) > 0 || !strings.Contains(out, "nothing to do, it is so already") {
				t.Errorf("a second time: exit %d, %v\n%s", code, f.calls, out)
			}
		})
	}
}

// TestAttachLiveHasTheSocketMadeFirst: hostd hears of the domain as it will be,
// before QEMU connects.
func TestAttachLiveHasTheSocketMadeFirst(t *testing.T) {
	r := newRig(t)
	r.fake.Snapshot.Libvirt.Guests = "/run/elsewhere"
	f := r.libvirt(t)
	f.domain("web1", fakeUUID, 7, silver, urandom)
	told := 0
	f.before = func(call string) {
		if call == "attach live" && told == 0 {
			told = len(r.fake.Hooks)
		}
	}
	if code, out, errs := r.run(t, "libvirt", "attach", "web1", "--live", "--port", "--weight", "2"); code != 0 {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	if told != 1 || len(r.fake.Hooks) != 1 {
		t.Fatalf("hostd was told %d times before the device came, %d in all", told, len(r.fake.Hooks))
	}
	h := r.fake.Hooks[0]
	_, rng := h.Domain.EGD("/run/elsewhere/web1.sock")
	_, port := h.Domain.Port("/run/elsewhere/web1.port")
	if h.Op != "attach" || h.Domain.UUID != fakeUUID || h.Domain.ID != 7 || !rng || !port || h.Domain.Policy.Weight != "2" ||
		h.Domain.Policy.Class != "silver" || len(h.Domain.RNGs) != 1 { // the other is not hostd's
		t.Errorf("%+v", h)
	}
}

// TestAttachAnnouncesWhatIsLeft: devices that go are not told of, and of two that
// are alike one stays.
func TestAttachAnnouncesWhatIsLeft(t *testing.T) {
	d := parsed(t, "<domain><devices>"+urandom+stale+stale+stalePort+"</devices></domain>")
	devices, err := devicesOf([]byte("<domain><devices>" + urandom + stale + stalePort + own + "</devices></domain>"))
	if err != nil || len(devices) != 4 {
		t.Fatal(devices, err)
	}
	p := plan{steps: []step{
		{act: unplug, device: devices[0], optional: true}, {act: unplug, device: devices[1]}, {act: unplug, device: devices[2]},
		{act: plug, device: devices[3]}, {act: setPolicy, policy: libvirt.Policy{Class: "gold"}},
	}}
	after := p.after(d)
	if len(after.RNGs) != 2 || after.RNGs[0] != *devices[1].RNG || after.RNGs[1] != *devices[3].RNG || len(after.Channels) != 0 || after.Policy.Class != "gold" {
		t.Errorf("%+v", after)
	}
	if len(d.RNGs) != 3 || d.RNGs[0].Backend != "random" || len(d.Channels) != 1 || d.Policy != nil {
		t.Errorf("what was there has changed: %+v", d)
	}
}

// TestAttachTellsWhatLibvirtForgets: of what was plugged in, and of nothing else.
func TestAttachTellsWhatLibvirtForgets(t *testing.T) {
	const note = "note: libvirt 9.0 forgets the reconnect of what is plugged in: "
	for _, c := range []struct {
		name, args, say string // say: what follows the note; empty: there is none
		spoil           func(*fakeLibvirt)
	}{
		{"live", "--live", "attach web1 --live --replace\n", nil},
		{"with the port", "--live --port", "attach web1 --live --port --replace\n", nil},
		{"in the configuration", "--config", "", nil},
		{"not announced", "--live --control /nonexistent/c.sock", "", nil},
		{"not plugged in", "--live", "", func(f *fakeLibvirt) { f.fail["attach live"] = errors.New("libvirt: no") }},
		{"no policy, no device", "--live --weight 2", "", func(f *fakeLibvirt) { f.fail["policy live"] = errors.New("libvirt: no") }},
		{"plugged in, and no more", "--live --port", "attach web1 --live --replace\n", func(f *fakeLibvirt) {
			f.before = func(call string) {
				if slices.Contains(f.calls, call) {
					f.fail[call] = errors.New("libvirt: no")
				}
			}
		}},
	} {
		r := newRig(t)
		f := r.libvirt(t)
		f.domain("web1", fakeUUID, 7, "", "")
		if c.spoil != nil {
			c.spoil(f)
		}
		_, out, _ := r.run(t, append([]string{"libvirt", "attach", "web1"}, strings.Fields(c.args)...)...)
		_, after, found := strings.Cut(out, note)
		if found != (c.say != "") || !strings.HasSuffix(after, c.say) || strings.Count(out, note) > 1 {
			t.Errorf("%s: %s", c.name, out)
		}
	}
}

// TestAttachKnowsWhoStandsForTheDomain: a guest of the configuration, or one added
// live, feeds it over a socket of its own.
func TestAttachKnowsWhoStandsForTheDomain(t *testing.T) {
	const other = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
	at := func(device, path string) string { return strings.ReplaceAll(device, "/run/headgate/guests/old.", path) }
	srv := at(stale, "/srv/web1.")
	bound := func(uuid string) *control.DomainStatus { return &control.DomainStatus{UUID: uuid} }
	for _, c := range []struct {
		name    string
		guest   control.GuestStatus
		kind    string // of its pipe at /srv/web1.sock
		devices string
		args    string
		calls   string
		say     string
	}{
		{"by name", control.GuestStatus{Name: "web1", Origin: control.OriginConfig}, "qemu", srv, "", "", "nothing to do"},
		{"by what it is bound to", control.GuestStatus{Name: "x", Origin: control.OriginAPI, Domain: bound(fakeUUID)}, "egd", srv, "", "", "nothing to do"},
		{"beside its own", control.GuestStatus{Name: "web1", Origin: control.OriginConfig}, "qemu", srv + own, "", "",
			"web1 has another rng device at /run/headgate/guests/web1.sock too"},
		{"one that forgets", control.GuestStatus{Name: "web1", Origin: control.OriginConfig}, "qemu",
			strings.ReplaceAll(forgetful, "/run/headgate/guests", "/srv"), "--replace", "detach config, attach config", "rng device at /srv/web1.sock added"},
		{"its port", control.GuestStatus{Name: "web1", Origin: control.OriginConfig}, "port", own + at(stalePort, "/srv/web1."), "--port", "", "nothing to do"},
		{"no device there", control.GuestStatus{Name: "web1", Origin: control.OriginConfig}, "qemu", "", "", "attach config", "guests/web1.sock added"},
		{"another's name", control.GuestStatus{Name: "web2", Origin: control.OriginConfig}, "qemu", srv, "", "attach config", "another rng device at /srv/web1.sock"},
		{"another domain's", control.GuestStatus{Name: "x", Origin: control.OriginConfig, Domain: bound(other)}, "qemu", srv, "", "attach config", "another rng device"},
		{"one of libvirt's", control.GuestStatus{Name: "web1", Origin: control.OriginLibvirt, Domain: bound(fakeUUID)}, "qemu", srv, "", "attach config", "another rng device"},
		{"a port's socket", control.GuestStatus{Name: "web1", Origin: control.OriginConfig}, "port", srv, "", "attach config", "another rng device"},
	} {
		r := newRig(t)
		path := "/srv/web1.sock"
		if c.args == "--port" {
			path = "/srv/web1.port"
		}
		c.guest.Rate, c.guest.Burst = 1024, 4096
		c.guest.Pipes = []control.PipeStatus{{Kind: c.kind, Path: path, Connected: true}}
		r.fake.Snapshot.Guests = []control.GuestStatus{c.guest}
		f := r.libvirt(t)
		f.domain("web1", fakeUUID, 0, "", c.devices)
		code, out, errs := r.run(t, append([]string{"libvirt", "attach", "web1"}, strings.Fields(c.args)...)...)
		if code != 0 || strings.Join(f.calls, ", ") != c.calls || !strings.Contains(out, c.say) {
			t.Errorf("%s: exit %d, %v\n%s%s", c.name, code, f.calls, out, errs)
		}
	}
}

// TestWithoutHostdItsConfigurationCounts: it says where the sockets will be.
func TestWithoutHostdItsConfigurationCounts(t *testing.T) {
	r := newRig(t)
	if err := os.WriteFile(r.Config, []byte("[libvirt]\nguests = \"/run/elsewhere\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	f := r.libvirt(t)
	d := f.domain("web1", fakeUUID, 0, "", "")
	const note = `its sockets are taken to be in /run/elsewhere, and no class was checked`
	if code, out, errs := r.run(t, "libvirt", "attach", "web1", "--control", "/nonexistent/c.sock"); code != 0 || !strings.Contains(out, note) {
		t.Errorf("attach: exit %d: %s%s", code, out, errs)
	}
	if _, wired := parsed(t, d.config).EGD("/run/elsewhere/web1.sock"); !wired {
		t.Errorf("attach: %s", d.config)
	}
	code, out, errs := r.run(t, "libvirt", "xml", "web1", "--control", "/nonexistent/c.sock")
	if code != 0 || !strings.Contains(out, "'/run/elsewhere/web1.sock'") || !strings.HasPrefix(errs, "note: no hostd answers at ") || !strings.HasSuffix(errs, note+"\n") {
		t.Errorf("xml: exit %d: %s%s", code, out, errs)
	}
	code, out, errs = r.run(t, "libvirt", "detach", "web1", "--control", "/nonexistent/c.sock")
	if code != 0 || !strings.Contains(out, "/run/elsewhere/web1.sock removed\n") {
		t.Errorf("detach: exit %d: %s%s", code, out, errs)
	}
	// What the daemon says counts for more.
	if _, out, errs := r.run(t, "libvirt", "xml", "web1"); !strings.Contains(out, "'/run/elsewhere/web1.sock'") || errs != "" {
		t.Errorf("%s%s", out, errs)
	}
	r.fake.Snapshot.Libvirt.Guests = "/run/third"
	if _, out, errs := r.run(t, "libvirt", "xml", "web1"); !strings.Contains(out, "'/run/third/web1.sock'") || errs != "" {
		t.Errorf("%s%s", out, errs)
	}
}

func TestAttachWithoutHostd(t *testing.T) {
	r := newRig(t)
	f := r.libvirt(t)
	d := f.domain("web1", fakeUUID, 7, "", "")
	code, out, errs := r.run(t, "libvirt", "attach", "web1", "--class", "any", "--control", "/nonexistent/c.sock")
	if code != 1 || !slices.Equal(f.calls, []string{"policy config", "attach config"}) ||
		!strings.HasPrefix(errs, "hostd: domain web1, running: have hostd make its socket: no hostd answers at /nonexistent/c.sock") ||
		!strings.Contains(errs, "a running domain needs that, --config alone does not\n") || strings.Count(errs, "\n") != 1 ||
		!strings.Contains(out, "no class was checked") {
		t.Errorf("exit %d, %v\n%s%s", code, f.calls, out, errs)
	}
	if _, wired := parsed(t, d.config).EGD("/run/headgate/guests/web1.sock"); !wired {
		t.Error("the configuration was not changed")
	}
}

// TestAttachTellsWhatLibvirtSays, and what to do about it.
func TestAttachTellsWhatLibvirtSays(t *testing.T) {
	for text, remedy := range map[string]string{
		"libvirt: internal error: No more available PCI slots":                          "pcie-root-port",
		"libvirt: unable to execute QEMU command 'chardev-add': Permission denied":      `"hostd libvirt doctor" says why`,
		"libvirt: unable to execute QEMU command: Failed to connect: No such file":      `"hostd events" says why`,
		"libvirt: no virtio-serial controllers are available":                           "give --config",
		"libvirt: Timed out during operation: cannot acquire state change lock\nsecond": "state change lock; second",
	} {
		r := newRig(t)
		f := r.libvirt(t)
		f.domain("web1", fakeUUID, 7, "", "")
		f.fail["attach live"] = errors.New(text)
		code, out, errs := r.run(t, "libvirt", "attach", "web1")
		if code != 1 || !strings.HasPrefix(errs, "hostd: domain web1, running: add the rng device at /run/headgate/guests/web1.sock: libvirt: ") ||
			!strings.Contains(errs, remedy) || strings.Count(errs, "\n") != 1 || !strings.Contains(out, "web1, configuration: rng") {
			t.Errorf("exit %d\n%s%s", code, out, errs)
		}
	}
}

// TestAGuestThatDoesNotLetGo: what is wanted is done, what is too much is told.
func TestAGuestThatDoesNotLetGo(t *testing.T) {
	r := newRig(t)
	f := r.libvirt(t)
	f.stubborn = true
	f.domain("web1", fakeUUID, 7, "", urandom)
	code, out, errs := r.run(t, "libvirt", "attach", "web1", "--live", "--replace")
	if code != 0 || errs != "" || !strings.Contains(out, "note: web1, running: remove the rng device random /dev/urandom: the guest has not let go of it") {
		t.Errorf("attach: exit %d\n%s%s", code, out, errs)
	}
	code, out, errs = r.run(t, "libvirt", "detach", "web1", "--live")
	if code != 1 || !strings.Contains(errs, "web1.sock: the guest has not let go of it: do it again, or restart the domain\n") {
		t.Errorf("detach: exit %d\n%s%s", code, out, errs)
	}
}

func TestDetach(t *testing.T) {
	r := newRig(t)
	f := r.libvirt(t)
	d := f.domain("web1", fakeUUID, 7, silver, urandom+stale+agent+stalePort)
	if code, _, errs := r.run(t, "libvirt", "attach", "web1"); code != 0 {
		t.Fatal(errs)
	}
	code, out, errs := r.run(t, "libvirt", "detach", "web1")
	golden(t, "libvirt_detach", out)
	if code != 0 || errs != "" {
		t.Errorf("exit %d: %s", code, errs)
	}
	for _, text := range []string{d.live, d.config} {
		left := parsed(t, text)
		if len(left.RNGs) != 1 || left.RNGs[0].Backend != "random" || len(left.Channels) != 0 || left.Policy != nil || !strings.Contains(text, "guest_agent") {
			t.Errorf("what is left: %+v", left)
		}
	}
	if code, out, _ := r.run(t, "libvirt", "detach", "web1", "--config"); code != 0 || out != "web1, configuration: nothing to do, it is so already\n" {
		t.Errorf("a second time: exit %d: %s", code, out)
	}
}

// TestNamesThatAreNoGuests: such a domain goes by its UUID, in the shell and in the
// socket's path.
func TestNamesThatAreNoGuests(t *testing.T) {
	r := newRig(t)
	f := r.libvirt(t)
	d := f.domain("my guest's", fakeUUID, 0, "", urandom)
	code, out, errs := r.run(t, "libvirt", "attach", d.Name)
	if code != 0 || !strings.Contains(out, "my guest's, configuration: rng device at /run/headgate/guests/"+fakeUUID+".sock added") ||
		!strings.Contains(out, `hostd libvirt attach 'my guest'\''s' --replace`) {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}

func TestSidesOfATransientDomain(t *testing.T) {
	r := newRig(t)
	f := r.libvirt(t)
	f.domain("web1", fakeUUID, 7, "", "").Persistent = false
	if code, out, _ := r.run(t, "libvirt", "attach", "web1"); code != 0 || len(f.calls) != 1 {
		t.Errorf("exit %d, %v: %s", code, f.calls, out)
	}
	if code, _, errs := r.run(t, "libvirt", "attach", "web1", "--config"); code != 1 ||
		errs != "hostd: domain web1 is transient and has no next start: leave --config out\n" {
		t.Errorf("exit %d: %s", code, errs)
	}
	if code, _, errs := r.run(t, "libvirt", "attach", "web2"); code != 1 || !strings.Contains(errs, `domain "web2": libvirt has no such domain`) {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// TestAttachMendsWhatIsCutOff: a device that was plugged in, and that a restart of
// hostd has cut off, is plugged in anew. One that is connected stays.
func TestAttachMendsWhatIsCutOff(t *testing.T) {
	for _, connected := range []bool{false, true} {
		r := newRig(t)
		r.fake.Snapshot.Guests = []control.GuestStatus{{Name: "web1", Rate: 1024, Burst: 4096, Pipes: []control.PipeStatus{
			{Kind: "qemu", Path: "/run/headgate/guests/web1.sock", Connected: connected},
		}}}
		f := r.libvirt(t)
		f.domain("web1", fakeUUID, 7, "", own)
		want, say := "detach live, attach live", "rng device at /run/headgate/guests/web1.sock removed\n"
		if connected {
			want, say = "", "nothing to do"
		}
		code, out, errs := r.run(t, "libvirt", "attach", "web1", "--live", "--replace")
		if code != 0 || strings.Join(f.calls, ", ") != want || !strings.Contains(out, say) {
			t.Errorf("connected %v: exit %d, %v\n%s%s", connected, code, f.calls, out, errs)
		}
		if !connected && (len(r.fake.Hooks) != 1 || len(r.fake.Hooks[0].Domain.RNGs) != 1) {
			t.Errorf("announced: %+v", r.fake.Hooks)
		}
	}
}

// saysInOrder sees that a text has all of these in it, one behind another.
func saysInOrder(t *testing.T, text string, says []string) {
	t.Helper()
	rest := text
	for _, say := range says {
		_, after, found := strings.Cut(rest, say)
		if !found {
			t.Errorf("%q is not in\n%s", say, text)
		}
		rest = after
	}
}
