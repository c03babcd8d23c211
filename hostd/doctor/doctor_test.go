package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"headgate/hostd/control"
	"headgate/kvm/libvirt"
)

const (
	sock1 = "/run/headgate/guests/web1.sock"
	port1 = "/run/headgate/guests/web1.port"
	uuid1 = "11111111-1111-1111-1111-111111111111"
	uuid2 = "22222222-2222-2222-2222-222222222222"
	uuid5 = "55555555-5555-5555-5555-555555555555"
)

var morning = time.Date(2026, 1, 2, 8, 0, 0, 0, time.UTC)

var qemu = User{Name: "libvirt-qemu", UID: 64055, GIDs: []uint32{107}}

// way is one to a socket of that mode and owner.
func way(path string, mode fs.FileMode, uid, gid uint32) Way {
	return Way{Steps: []Step{
		{Path: "/", Mode: fs.ModeDir | 0o755}, {Path: "/run", Mode: fs.ModeDir | 0o755},
		{Path: "/run/headgate", Mode: fs.ModeDir | 0o755, UID: 998, GID: 998},
		{Path: "/run/headgate/guests", Mode: fs.ModeDir | 0o755, UID: 998, GID: 998},
		{Path: path, Mode: fs.ModeSocket | mode, UID: uid, GID: gid},
	}}
}

func egd(path string) libvirt.RNG {
	return libvirt.RNG{Backend: "egd", Type: "unix", Mode: "connect", Path: path, Reconnect: 1}
}

// well is a host on which nothing is to be found fault with: web1 runs and is fed.
func well() Facts {
	return Facts{Guests: "/run/headgate/guests",
		Hostd: Hostd{Control: "/run/headgate/control.sock", Status: control.Status{
			Version: "v1", PID: 42,
			Libvirt: control.LibvirtStatus{Follow: true, Connected: true, Socket: "/run/libvirt/libvirt-sock-ro", Version: "9.0.0",
				Guests: "/run/headgate/guests", Domains: 1, HookCalls: 3, LastHook: morning},
			Guests: []control.GuestStatus{{Name: "web1", Class: "gold", Origin: control.OriginLibvirt, Bytes: 64,
				Domain: &control.DomainStatus{Name: "web1", UUID: uuid1},
				Pipes:  []control.PipeStatus{{Kind: "qemu", Path: sock1, Connected: true}, {Kind: "port", Path: port1, Connected: true}}}},
		}},
		Libvirt: Libvirt{Version: "9.0.0", Daemon: "libvirtd", Started: morning.Add(time.Hour)},
		Hook:    Hook{Path: "/etc/libvirt/hooks/qemu.d/headgate", Mode: 0o755, Changed: morning, Program: "/usr/local/sbin/hostd"},
		AppArmor: AppArmor{Enabled: true, Driver: true,
			Guests: []Policy{{localGuests, `"/run/headgate/guests/*" rw,` + "\n"}},
			Daemon: []Policy{{"/etc/apparmor.d/usr.sbin.libvirtd", "  /usr/sbin/* PUx,\n"}, {"/etc/apparmor.d/local/usr.sbin.libvirtd", "/usr/local/sbin/hostd PUx,\n"}}},
		Domains: []Domain{{
			Domain: libvirt.Domain{Name: "web1", UUID: uuid1, ID: 1, RNGs: []libvirt.RNG{egd(sock1)}},
			Active: true, Confined: true, QEMU: qemu, Ways: map[string]Way{sock1: way(sock1, 0o600, 64055, 998), port1: way(port1, 0o600, 64055, 998)},
		}},
	}
}

// said writes findings that are not ok, one a line.
func said(found []Finding) string {
	var b strings.Builder
	for _, f := range found {
		if f.Level != OK {
			fmt.Fprintf(&b, "%s %s %s: %s; %s\n", f.Level, f.About, f.Domain, f.Text, f.Remedy)
		}
	}
	return b.String()
}

// tellsOne fails unless, beside what is well, there is one finding, of this level and
// with these words, and each finding is fit to be read.
func tellsOne(t *testing.T, found []Finding, level Level, words ...string) {
	t.Helper()
	got := said(found)
	if strings.Count(got, "\n") != 1 || !strings.HasPrefix(got, string(level)+" ") {
		t.Errorf("want one %s, got:\n%s", level, got)
	}
	for _, want := range words {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	for _, one := range found {
		if one.Text == "" || one.About == "" || (one.Remedy == "") != (one.Level == OK) || strings.Contains(one.Text+one.Remedy, "%!") ||
			strings.Contains(one.Remedy, "examples/") { // make install does not install those
			t.Errorf("%+v", one)
		}
	}
}

func TestWell(t *testing.T) {
	found := Examine(well())
	if s := said(found); s != "" {
		t.Error(s)
	}
	if len(found) != 7 {
		t.Errorf("%d findings of 7: %+v", len(found), found)
	}
}

func TestEveryFindingSaysWhatAndHowToMendIt(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Facts)
		level  Level
		want   []string // in the one finding that is not ok
	}{
		{"hostd away", func(f *Facts) { f.Hostd = Hostd{Err: errors.New("no hostd answers at /c")} }, Fault,
			[]string{"hostd : no hostd answers at /c", "systemctl start hostd"}},
		{"not following", func(f *Facts) {
			f.Hostd.Status.Libvirt.Follow = false
			f.Hostd.Status.Config = "/etc/headgate/hostd.toml"
		}, Note,
			[]string{"follow = true under [libvirt] in /etc/headgate/hostd.toml", "systemctl reload hostd"}},
		{"not connected", func(f *Facts) { f.Hostd.Status.Libvirt.Connected = false; f.Hostd.Status.Libvirt.Error = "gone" }, Fault,
			[]string{"does not see libvirt: gone", "systemctl restart libvirtd"}},
		{"no libvirt", func(f *Facts) { f.Libvirt = Libvirt{Err: errors.New("no libvirt is at X")} }, Fault, []string{"no libvirt is at X", "systemctl start libvirtd"}},
		{"6.4", func(f *Facts) { f.Libvirt.Version = "6.4.0" }, Fault, []string{"6.4.0 does not run the scripts in /etc/libvirt/hooks/qemu.d", "/etc/libvirt/hooks/qemu,"}},
		{"7.9", func(f *Facts) { f.Libvirt.Version = "7.9.0" }, Note, []string{"7.9.0 reverts to a snapshot within the same QEMU", "7.10"}},
		{"odd", func(f *Facts) { f.Libvirt.Version = "x" }, Note, []string{`"x" cannot be read`}},

		{"no hook", func(f *Facts) { f.Hook = Hook{Path: "/etc/libvirt/hooks/qemu.d/headgate"} }, Fault, []string{"is not there", "; hostd libvirt install-hook\n"}},
		{"no hook elsewhere", func(f *Facts) { f.Hook = Hook{Path: "/h h/qemu.d/headgate"} }, Fault, []string{"install-hook --hooks '/h h'"}},
		{"hook not to be run", func(f *Facts) { f.Hook.Mode = 0o644 }, Fault, []string{"chmod 0755 /etc/libvirt/hooks/qemu.d/headgate"}},
		{"hook of another", func(f *Facts) { f.Hook.Program = "" }, Fault, []string{"does not call hostd", "install-hook"}},
		{"hostd moved", func(f *Facts) { f.Hook.ProgramErr = fs.ErrNotExist }, Fault, []string{"file does not exist", "install-hook"}},
		{"hook unseen", func(f *Facts) { f.Hostd.Status.Libvirt.HookCalls = 0; f.Libvirt.Started = morning.Add(-time.Hour) }, Note,
			[]string{"came after libvirtd had started", "systemctl reload libvirtd"}},
		{"hook unseen by the other daemon", func(f *Facts) {
			f.Hostd.Status.Libvirt.HookCalls = 0
			f.Libvirt.Started, f.Libvirt.Daemon = morning.Add(-time.Hour), "virtqemud"
		}, Note, []string{"systemctl reload virtqemud"}},

		{"AppArmor", func(f *Facts) { f.AppArmor.Guests[0].Text = `# "/run/headgate/guests/*" rw,` }, Fault,
			[]string{"no domain may connect below /run/headgate/guests", `echo '"/run/headgate/guests/*" rw,' >> /etc/apparmor.d/local/abstractions/libvirt-qemu`}},
		{"AppArmor and another folder", func(f *Facts) {
			f.Hostd.Status.Libvirt.Guests = "/srv/g"
			f.Domains, f.Hostd.Status.Guests = nil, nil
		}, Fault, []string{`"/srv/g/*" rw,`}},
		{"AppArmor and the hook", func(f *Facts) { f.AppArmor.Daemon[1].Text = "" }, Fault,
			[]string{"usr.sbin.libvirtd may not run /usr/local/sbin/hostd", "PUx,' >> /etc/apparmor.d/local/usr.sbin.libvirtd && apparmor_parser -r /etc/apparmor.d/usr.sbin.libvirtd"}},
		{"SELinux", func(f *Facts) { f.SELinux = "enforcing" }, Note, []string{"ausearch -m avc", "allow svirt_t "}},
		{"denied", func(f *Facts) { f.Denials = []Denial{{morning, "first"}, {morning.Add(time.Minute), "last"}} }, Note, []string{"08:01:00, of 2 lines in its log: last", "apparmor_parser -r /etc/apparmor.d/usr.sbin.libvirtd"}},
		{"denied to a domain", func(f *Facts) { f.Denials = []Denial{{morning, deniedConnect}} }, Note,
			[]string{"; apparmor_parser -r /etc/apparmor.d/libvirt/libvirt-a956bb3c-4652-4b95-a7f3-30e85b7cf76d "}},
		{"denied by SELinux", func(f *Facts) { f.Denials = []Denial{{morning, deniedLabel}} }, Note, []string{"audit2allow", "allow svirt_t "}},
		{"AppArmor, and none runs", func(f *Facts) {
			f.AppArmor.Guests = nil
			f.Domains[0].Active, f.Domains[0].Confined = false, false
		}, Fault, []string{"no domain may connect"}},

		{"no XML", func(f *Facts) { f.Domains[0].Err = errors.New("broken") }, Fault, []string{"domain web1: its XML cannot be read: broken", "virsh dumpxml web1"}},
		{"no rng", func(f *Facts) { f.Domains[0].RNGs = nil }, Note, []string{"has no random number generator", "; hostd libvirt attach web1\n"}},
		{"two rngs", func(f *Facts) { f.Domains[0].RNGs = append(f.Domains[0].RNGs, egd(sock1)) }, Note, []string{"2 rng devices", "attach web1 --replace"}},
		{"hwrng", func(f *Facts) { f.Domains[0].RNGs = []libvirt.RNG{{Backend: "random", Path: "/dev/hwrng"}} }, Fault, []string{"/dev/hwrng", "the others", "--replace"}},
		{"urandom", func(f *Facts) { f.Domains[0].RNGs = []libvirt.RNG{{Backend: "random", Path: "/dev/urandom"}} }, Note, []string{"/dev/urandom", "--replace"}},
		{"random", func(f *Facts) { f.Domains[0].RNGs = []libvirt.RNG{{Backend: "random", Path: "/dev/random"}} }, Note, []string{"/dev/random"}},
		{"builtin", func(f *Facts) { f.Domains[0].RNGs = []libvirt.RNG{{Backend: "builtin"}} }, Note, []string{"QEMU's own"}},
		{"unknown", func(f *Facts) { f.Domains[0].RNGs = []libvirt.RNG{{Backend: "quantum"}} }, Note, []string{`"quantum"`}},
		{"TCP", func(f *Facts) { f.Domains[0].RNGs = []libvirt.RNG{{Backend: "egd", Type: "tcp"}} }, Fault, []string{"network (tcp)", "--replace"}},
		{"UDP", func(f *Facts) { f.Domains[0].RNGs = []libvirt.RNG{{Backend: "egd", Type: "udp"}} }, Fault, []string{"network (udp)"}},
		{"no reconnect", func(f *Facts) { f.Domains[0].RNGs[0].Reconnect = 0 }, Fault, []string{"its rng at " + sock1 + " does not reconnect", "attach web1 --replace"}},
		{"bind", func(f *Facts) { f.Domains[0].RNGs[0].Mode = "bind" }, Fault, []string{"waits there itself", "--replace"}},
		{"clone", clone, Fault, []string{"domain copy of web1: ", "the socket of web1: is it a clone?", "attach 'copy of web1' --replace"}},
		{"nobody's socket", func(f *Facts) { f.Domains[0].RNGs[0].Path = "/run/headgate/guests/old.sock" }, Fault, []string{"its own is " + sock1}},
		{"its port's socket", func(f *Facts) { f.Domains[0].RNGs[0].Path = "/run/headgate/guests/web1.port2" }, Fault, []string{"its own is " + sock1}},
		{"another daemon", func(f *Facts) { f.Domains[0].RNGs[0].Path = "/run/egd.sock" }, Note, []string{"not Headgate's"}},
		{"port without reconnect", func(f *Facts) {
			f.Domains[0].Channels = []libvirt.Channel{{Mode: "connect", Path: port1}}
		}, Fault, []string{"channel org.headgate.entropy.0 at " + port1 + " does not reconnect", "--port --replace"}},
		{"port that libvirt relabels", func(f *Facts) {
			f.Domains[0].Channels = []libvirt.Channel{{Mode: "connect", Path: port1, Reconnect: 1, Relabels: true}}
		}, Fault, []string{"relabel='no'", "--port --replace"}},
		{"port of another", func(f *Facts) {
			f.Domains[0].Channels = []libvirt.Channel{{Mode: "connect", Path: "/run/headgate/guests/x.port", Reconnect: 1}}
		}, Fault, []string{"its own is " + port1}},

		{"no socket", func(f *Facts) {
			f.Domains[0].Ways[sock1] = Way{Steps: way(sock1, 0, 0, 0).Steps[:4], Err: fs.ErrNotExist}
		}, Fault, []string{sock1 + ": nothing is there", "systemctl restart hostd    # cuts off what was plugged in"}},
		{"a file", func(f *Facts) { f.Domains[0].Ways[sock1].Steps[4].Mode = 0o600 }, Fault, []string{"no socket", "rm " + sock1}},
		{"unseen socket", func(f *Facts) { f.Domains[0].Ways[sock1] = Way{Err: fs.ErrPermission} }, Fault, []string{"cannot be seen", "sudo"}},
		{"socket of another", func(f *Facts) { f.Domains[0].Ways[sock1] = way(sock1, 0o600, 998, 998) }, Fault,
			[]string{"QEMU's user libvirt-qemu (64055) may not connect", "chown 64055 " + sock1}},
		{"a closed folder", func(f *Facts) { f.Domains[0].Ways[sock1].Steps[2].Mode = fs.ModeDir | 0o750 }, Fault,
			[]string{"may not pass through /run/headgate (drwxr-x---, owner 998:998)", "chmod o+x /run/headgate"}},
		{"not fed", func(f *Facts) { f.Hostd.Status.Guests = nil }, Fault, []string{"hostd does not feed " + sock1, "; hostd events | grep web1 ", "systemctl restart hostd    # cuts off"}},
		{"not made", func(f *Facts) {
			f.Hostd.Status.Guests = nil
			f.Domains[0].Ways[sock1] = Way{Steps: way(sock1, 0, 0, 0).Steps[:4], Err: fs.ErrNotExist}
		}, Fault, []string{"hostd does not feed " + sock1}},
		{"runs alone", func(f *Facts) { f.Domains[0].Next = &libvirt.Domain{} }, Note, []string{"from its next start on it is not", "; hostd libvirt attach web1 --config\n"}},
		{"runs alone, with a port", func(f *Facts) {
			f.Domains[0].Channels = []libvirt.Channel{{Mode: "connect", Path: port1, Reconnect: 1}}
			f.Domains[0].Next = &libvirt.Domain{RNGs: []libvirt.RNG{{Backend: "random", Path: "/dev/urandom"}}}
		}, Note, []string{"from its next start on it is not", "; hostd libvirt attach web1 --config --port\n"}},
		{"broken pipe", func(f *Facts) { f.Hostd.Status.Guests[0].Pipes[0].Error = "in use" }, Fault, []string{"in use", "hostd events"}},
		{"not there", func(f *Facts) { f.Hostd.Status.Guests[0].Pipes[0].Connected = false }, Fault, []string{"QEMU is not connected", "attach web1 --replace --live", "journalctl -k"}},
		{"others there", func(f *Facts) {
			f.Hostd.Status.Guests[0].Pipes[0].Connected, f.Hostd.Status.Guests[0].Pipes[0].Refused = false, 7
		}, Fault, []string{"7 others were turned away", "hostd events | grep web1"}},
		{"others, too", func(f *Facts) { f.Hostd.Status.Guests[0].Pipes[0].Refused = 7 }, Note, []string{"7 others"}},
		{"policy", func(f *Facts) {
			f.Hostd.Status.Guests[0].Domain.Problems = []control.Problem{{Kind: control.DomainPolicy, Text: `domain web1: class "tin" is not selectable`}}
		}, Fault, []string{`web1: class "tin"`, "attach web1 --class"}},
		{"wired wrongly, as hostd says too", func(f *Facts) {
			f.Domains[0].RNGs[0].Path = "/run/headgate/guests/old.sock"
			miswire(f, `its rng device connects to "/run/headgate/guests/old.sock", and not to its own socket `+sock1+`: hostd libvirt attach web1 --replace mends it`)
		}, Fault, []string{"its own is " + sock1, "; hostd libvirt attach web1 --replace\n"}},
		{"does not reconnect, as hostd says too", func(f *Facts) {
			f.Domains[0].RNGs[0].Reconnect = 0
			miswire(f, "its rng device does not reconnect, and gets nothing once hostd was restarted: hostd libvirt attach web1 --replace mends it")
		}, Fault, []string{"; hostd libvirt attach web1 --replace\n"}},
		{"port twice, as hostd alone says", func(f *Facts) {
			miswire(f, "its channel is there twice: one client is served at "+port1+": hostd libvirt attach web1 --replace mends it")
		}, Fault, []string{"its channel is there twice: one client is served at " + port1 + "; hostd libvirt attach web1 --replace\n"}},
		{"user not known", func(f *Facts) {
			miswire(f, "whom its QEMU runs as is not known: give the class socket_owner in hostd's configuration")
		}, Fault, []string{"is not known; give the class socket_owner"}},
		{"another stands for it", func(f *Facts) {
			f.Hostd.Status.Guests[0].Pipes = nil
			miswire(f, "guest web1, which stands for it, has no pipe qemu:"+sock1+": add it to that guest, or remove the guest, and the domain is one by itself")
		}, Fault, []string{"has no pipe qemu:" + sock1 + "; add it to that guest"}},
		{"unclear", func(f *Facts) { miswire(f, "it is odd") }, Fault, []string{"it is odd; hostd libvirt status"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := well()
			tc.change(&f)
			tellsOne(t, Examine(f), tc.level, tc.want...)
		})
	}
}

// clone has a second domain name the first's socket.
func clone(f *Facts) {
	f.Domains = append(f.Domains, Domain{Domain: libvirt.Domain{Name: "copy of web1", UUID: uuid2, RNGs: []libvirt.RNG{egd(sock1)}}})
}

// miswire has hostd say of the domain's devices what is wrong.
func miswire(f *Facts, text string) {
	f.Hostd.Status.Guests[0].Domain.Problems = []control.Problem{{Kind: control.DomainMiswired, Text: text}}
}

// A hostd that is told of domains by the hook alone, or that sees no libvirt, learns
// of none by being restarted.
func TestNotFed(t *testing.T) {
	for _, tc := range []struct {
		change func(*control.LibvirtStatus)
		remedy string
	}{
		{func(l *control.LibvirtStatus) { l.Follow, l.Connected = false, false }, "systemctl restart libvirtd    # guests go on"},
		{func(l *control.LibvirtStatus) { l.Connected = false }, "systemctl start libvirtd"},
	} {
		f := well()
		f.Hostd.Status.Guests = nil
		tc.change(&f.Hostd.Status.Libvirt)
		found := domains(f)
		if len(found) != 1 || found[0].Text != "hostd does not feed "+sock1 || !strings.HasPrefix(found[0].Remedy, tc.remedy) {
			t.Errorf("want %q: %+v", tc.remedy, found)
		}
	}
}

func TestNoFault(t *testing.T) {
	for name, change := range map[string]func(*Facts){
		"no AppArmor":           func(f *Facts) { f.AppArmor = AppArmor{} },
		"no domain is confined": func(f *Facts) { f.AppArmor.Guests, f.Domains[0].Confined = nil, false },
		"no driver, and none runs": func(f *Facts) {
			f.AppArmor.Guests, f.AppArmor.Driver = nil, false
			f.Domains[0].Active, f.Domains[0].Confined = false, false
		},
		"wired at its next start, too": func(f *Facts) { f.Domains[0].Next = &f.Domains[0].Domain },
		"wired to another in both": func(f *Facts) {
			f.Domains[0].RNGs, f.Domains[0].Channels = nil, []libvirt.Channel{{Mode: "connect", Path: port1, Reconnect: 1}}
			f.Domains[0].Next = &libvirt.Domain{RNGs: []libvirt.RNG{egd(sock1)}}
		},
		"no profile":        func(f *Facts) { f.AppArmor.Daemon = nil },
		"SELinux asleep":    func(f *Facts) { f.SELinux = "permissive" },
		"hook not yet used": func(f *Facts) { f.Hostd.Status.Libvirt.HookCalls = 0 },
		"start not known":   func(f *Facts) { f.Hostd.Status.Libvirt.HookCalls, f.Libvirt.Started = 0, time.Time{} },
		"hook beside another": func(f *Facts) {
			f.Hostd.Status.Libvirt.HookCalls, f.Libvirt.Started, f.Hook.Other = 0, morning.Add(-time.Hour), morning.Add(-2*time.Hour)
		},
		"socket by group": func(f *Facts) { f.Domains[0].Ways[sock1] = way(sock1, 0o660, 998, 107) },
		"socket for all":  func(f *Facts) { f.Domains[0].Ways[sock1] = way(sock1, 0o666, 998, 998) },
		"QEMU is root":    func(f *Facts) { f.Domains[0].Ways[sock1] = way(sock1, 0o600, 998, 998); f.Domains[0].QEMU = User{} },
		"asleep":          func(f *Facts) { f.Domains[0].Active, f.Domains[0].Ways = false, nil },
		"port, too": func(f *Facts) {
			f.Domains[0].Channels = []libvirt.Channel{{Mode: "connect", Path: port1, Reconnect: 1}}
		},
		"port alone": func(f *Facts) {
			f.Domains[0].RNGs = nil
			f.Domains[0].Channels = []libvirt.Channel{{Mode: "connect", Path: port1, Reconnect: 1}}
		},
		"a guest of the configuration": func(f *Facts) {
			f.Domains[0].RNGs[0].Path = "/srv/web1.sock"
			f.Domains[0].Ways["/srv/web1.sock"] = way("/srv/web1.sock", 0o600, 64055, 0)
			f.Hostd.Status.Guests[0].Pipes[0].Path, f.Hostd.Status.Guests[0].Origin = "/srv/web1.sock", control.OriginConfig
		},
	} {
		f := well()
		change(&f)
		if s := said(Examine(f)); s != "" {
			t.Errorf("%s: %s", name, s)
		}
	}
}
