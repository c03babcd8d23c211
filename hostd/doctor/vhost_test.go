package doctor

import (
	"strings"
	"testing"

	"headgate/hostd/control"
	"headgate/kvm/libvirt"
)

const vhost1 = "/run/headgate/guests/web1.vhost/sock"

// wellVhost is a host whose domain has a vhost-user device, and nothing is wrong.
func wellVhost() Facts {
	f := well()
	f.AppArmor.Guests[0].Text += `"/run/headgate/guests/*.vhost/sock" rw,` + "\n"
	f.Domains[0].RNGs, f.Domains[0].Ways = nil, nil
	f.Domains[0].Vhosts = []libvirt.Vhost{{Path: vhost1, Server: true, Wait: true}}
	f.Hostd.Status.Guests[0].Pipes = []control.PipeStatus{{Kind: "vhost-user", Path: vhost1, Connected: true}}
	return f
}

func TestVhostUserDevices(t *testing.T) {
	found := Examine(wellVhost())
	if s := said(found); s != "" || !strings.Contains(found[len(found)-1].Text, "is fed over "+vhost1) {
		t.Errorf("%s%+v", s, found)
	}
	again := "; hostd libvirt attach web1 --vhost-user --replace\n"
	for _, tc := range []struct {
		name   string
		change func(*Facts)
		level  Level
		want   []string
	}{
		{"memory", func(f *Facts) { f.Domains[0].Vhosts[0].Private = true }, Fault, []string{"its vhost-user device at " + vhost1 + " has memory that is not shared", again}},
		{"memory, and it is off", func(f *Facts) { f.Domains[0].Vhosts[0].Private, f.Domains[0].Active = true, false }, Fault, []string{"not shared"}},
		{"not a server", func(f *Facts) { f.Domains[0].Vhosts[0].Server = false }, Fault, []string{"connects there itself", again}},
		{"does not wait", func(f *Facts) { f.Domains[0].Vhosts[0].Wait = false }, Fault, []string{"wait=off", again}},
		{"a clone", func(f *Facts) {
			f.Domains = append(f.Domains, Domain{Domain: libvirt.Domain{Name: "web2", UUID: uuid2, Vhosts: []libvirt.Vhost{{Path: vhost1, Server: true, Wait: true}}}})
		}, Fault, []string{"domain web2: its vhost-user device names " + vhost1 + ", which is the socket of web1: is it a clone?", "attach web2 --vhost-user --replace"}},
		{"another's socket", func(f *Facts) { f.Domains[0].Vhosts[0].Path = "/run/vhost/x" }, Note, []string{"not Headgate's"}},
		{"not connected", func(f *Facts) { f.Hostd.Status.Guests[0].Pipes[0].Connected = false }, Fault,
			[]string{"hostd is not connected to its QEMU at " + vhost1, "hostd events | grep web1"}},
		{"in trouble", func(f *Facts) {
			f.Hostd.Status.Guests[0].Pipes[0].Connected, f.Hostd.Status.Guests[0].Pipes[0].Error = false, "permission denied"
		}, Fault, []string{vhost1 + ": permission denied", "hostd events"}},
		{"not fed", func(f *Facts) { f.Hostd.Status.Guests = nil }, Fault, []string{"hostd does not feed " + vhost1}},
		{"AppArmor", func(f *Facts) { f.AppArmor.Guests[0].Text = `"/run/headgate/guests/*" rw,` }, Fault,
			[]string{"no domain with a vhost-user device may make its socket", `echo '"/run/headgate/guests/*.vhost/sock" rw,' >> `}},
		{"AppArmor, from its next start on", func(f *Facts) {
			next := f.Domains[0].Domain
			*f = well()
			f.Domains[0].Next = &next
		}, Fault, []string{"may make its socket"}},
		{"another device, too", func(f *Facts) {
			f.Domains[0].RNGs = []libvirt.RNG{{Backend: "egd", Type: "unix", Mode: "connect", Path: sock1, Reconnect: 1}}
			f.Domains[0].Active = false
		}, Note,
			[]string{"2 rng devices", "attach web1 --vhost-user --replace"}},
		{"gone at its next start", func(f *Facts) { f.Domains[0].Next = &libvirt.Domain{} }, Note, []string{"from its next start on it is not", "attach web1 --vhost-user --config\n"}},
		{"as hostd says, too", func(f *Facts) {
			f.Domains[0].Vhosts[0].Private = true
			miswire(f, "its vhost-user device has memory that is not shared, and hostd cannot get at it: hostd libvirt attach web1 --vhost-user --replace mends it")
		}, Fault, []string{"not shared", again}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := wellVhost()
			tc.change(&f)
			tellsOne(t, Examine(f), tc.level, tc.want...)
		})
	}
}
