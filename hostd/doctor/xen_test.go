package doctor

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"headgate/hostd/control"
	"headgate/xen"
	"headgate/xen/xenstore/storetest"
)

// charDevice is the way to a device of that mode and owner.
func charDevice(path string, mode fs.FileMode, uid, gid uint32) Device {
	return Device{Path: path, Module: "xen-" + strings.TrimPrefix(path, "/dev/xen/"), Way: Way{Steps: []Step{
		{Path: "/", Mode: fs.ModeDir | 0o755}, {Path: "/dev", Mode: fs.ModeDir | 0o755}, {Path: "/dev/xen", Mode: fs.ModeDir | 0o755},
		{Path: path, Mode: fs.ModeDevice | fs.ModeCharDevice | mode, UID: uid, GID: gid}}}}
}

// wellXen is a dom0 in which nothing is to be found fault with: web1 is fed through
// its ring, db1 through its channel.
func wellXen() XenFacts {
	const socket = "/run/xen/db1.sock"
	return XenFacts{
		Hostd: Hostd{Control: "/run/headgate/control.sock", Status: control.Status{Version: "v1", PID: 42, Config: "/etc/headgate/hostd.toml",
			Xen: control.XenStatus{Follow: true, Dom0: true, Connected: true, Socket: "/run/xenstored/socket", Domains: 1},
			Guests: []control.GuestStatus{
				{Name: "web1", Class: "gold", Origin: control.OriginXen, Bytes: 64, Domain: &control.DomainStatus{Name: "web1", UUID: uuid1, ID: 5},
					Pipes: []control.PipeStatus{{Kind: "vchan", Path: uuid1, Connected: true}}},
				{Name: "db", Class: "default", Origin: control.OriginConfig, Pipes: []control.PipeStatus{{Kind: "channel", Path: socket, Connected: true}}},
			}}},
		User:    &User{Name: "root"},
		Devices: []Device{charDevice("/dev/xen/evtchn", 0o600, 0, 0), charDevice("/dev/xen/gntdev", 0o600, 0, 0)},
		Domains: []XenDomain{
			{Domain: xen.Domain{ID: 6, Name: "db1", UUID: uuid2}, Channels: []Channel{{Connection: "socket", Path: socket}},
				Ways: map[string]Way{socket: way(socket, 0o755, 0, 0)}},
			{Domain: xen.Domain{ID: 5, Name: "web1", UUID: uuid1, Offer: &xen.Offer{Domain: 5}, Policy: &xen.Policy{Class: "gold"}}},
		},
	}
}

func TestXenWell(t *testing.T) {
	found := ExamineXen(wellXen())
	if s := said(found); s != "" {
		t.Error(s)
	}
	if len(found) != 7 {
		t.Errorf("%d findings of 7: %+v", len(found), found)
	}
}

func TestEveryXenFindingSaysWhatAndHowToMendIt(t *testing.T) {
	cut := func(f *XenFacts, guest int) *control.PipeStatus {
		p := &f.Hostd.Status.Guests[guest].Pipes[0]
		p.Connected = false
		return p
	}
	nobodys := func(f *XenFacts) *XenDomain {
		f.Hostd.Status.Guests = f.Hostd.Status.Guests[1:]
		f.Domains[1].Policy, f.Domains[1].Offer = nil, nil
		return &f.Domains[1]
	}
	for _, tc := range []struct {
		name   string
		change func(*XenFacts)
		level  Level
		want   []string // in the one finding that is not ok
	}{
		{"hostd away", func(f *XenFacts) { f.Hostd = Hostd{Err: errors.New("no hostd answers at /c")} }, Fault,
			[]string{"no hostd answers at /c", "systemctl start hostd"}},
		{"no Xen", func(f *XenFacts) { f.Dom0, f.Domains = errors.New("this system does not run on Xen"), nil }, Fault,
			[]string{"xen : this system does not run on Xen", "hostd libvirt doctor"}},
		{"no xenstored", func(f *XenFacts) { f.Store.Err, f.Domains = errors.New("nobody listens"), nil }, Fault,
			[]string{"xenstore : nobody listens", "systemctl start xenstored"}},
		{"not root", func(f *XenFacts) { f.Store.Err, f.Domains = fs.ErrPermission, nil }, Fault, []string{"permission denied", "sudo hostd xen doctor"}},
		{"no evtchn", func(f *XenFacts) {
			f.Devices[0].Way = Way{Steps: f.Devices[0].Way.Steps[:3], Err: fs.ErrNotExist}
		}, Fault, []string{"/dev/xen/evtchn is not there", "modprobe xen-evtchn && echo xen-evtchn >> /etc/modules-load.d/headgate.conf"}},
		{"no gntdev", func(f *XenFacts) { f.Devices[1].Way = Way{Err: fs.ErrNotExist} }, Fault, []string{"modprobe xen-gntdev"}},
		{"devices unseen", func(f *XenFacts) { f.Devices[1].Way = Way{Err: fs.ErrPermission} }, Fault, []string{"cannot be seen", "sudo"}},
		{"a file", func(f *XenFacts) { f.Devices[1].Way.Steps[3].Mode = 0o644 }, Fault, []string{"/dev/xen/gntdev is no device", "rm /dev/xen/gntdev"}},
		{"hostd may not", func(f *XenFacts) {
			f.User = &User{Name: "headgate", UID: 998, GIDs: []uint32{998}}
			f.Devices[1] = charDevice("/dev/xen/gntdev", 0o660, 0, 998)
		}, Fault, []string{"hostd runs as headgate (998) and may not open /dev/xen/evtchn", "owner 0:0", "systemctl edit hostd    # [Service] User=root"}},
		{"not following", func(f *XenFacts) { f.Hostd.Status.Xen.Follow = false }, Fault, []string{"follow = true under [xen] in /etc/headgate/hostd.toml"}},
		{"not connected", func(f *XenFacts) {
			f.Hostd.Status.Xen.Connected, f.Hostd.Status.Xen.Error = false, "open /run/xenstored/socket: permission denied: be root"
		}, Fault, []string{"does not see xenstore: open", "User=root"}},
		{"not connected yet", func(f *XenFacts) { f.Hostd.Status.Xen.Connected = false }, Fault, []string{"does not see xenstore: not connected", "hostd events"}},

		{"nobody's", func(f *XenFacts) { nobodys(f) }, Note, []string{"domain web1: nobody attached it; hostd xen attach web1\n"}},
		{"nobody's, and it asks", func(f *XenFacts) { nobodys(f).Offer = &xen.Offer{} }, Fault, []string{"nobody attached it: it gets nothing; hostd xen attach web1\n"}},
		{"nobody's, with a channel", func(f *XenFacts) { nobodys(f).Channels = []Channel{{"socket", "/run/xen/w 1.sock"}} }, Note,
			[]string{"it has a channel at /run/xen/w 1.sock", "hostd guest add web1 --pipe 'channel:/run/xen/w 1.sock'"}},
		{"nobody's, with another channel", func(f *XenFacts) { nobodys(f).Channels = []Channel{{Connection: "pty"}} }, Note, []string{"org.headgate.entropy.0 is a pty", "connection=socket"}},
		{"without a UUID", func(f *XenFacts) { nobodys(f).UUID = "" }, Note, []string{"no UUID", "hostd guest add NAME --pipe vchan:5"}},
		{"without a name", func(f *XenFacts) { nobodys(f).Name = "" }, Note, []string{"domain 5: nobody", "hostd xen attach 5"}},
		{"attached, and not taken in", func(f *XenFacts) { nobodys(f).Policy = &xen.Policy{} }, Fault, []string{"hostd has no guest for it", "hostd events | grep web1"}},
		{"what hostd says of it", func(f *XenFacts) {
			nobodys(f).Policy = &xen.Policy{}
			f.Hostd.Status.Xen.Problems = []control.DomainProblem{{Domain: "web1", ID: 5, Problem: control.Problem{Kind: control.DomainMiswired, Text: "domain web1: it is odd"}}}
		}, Fault, []string{"domain web1: it is odd; hostd events | grep web1"}},
		{"policy", func(f *XenFacts) {
			f.Hostd.Status.Guests[0].Domain.Problems = []control.Problem{{Kind: control.DomainPolicy, Text: `domain web1: policy class: there is no class "tin"`}}
		}, Fault, []string{`domain web1: policy class: there is no class "tin"; hostd xen attach web1 --class CLASS`}},
		{"no ring", func(f *XenFacts) { cut(f, 0); f.Domains[1].Offer = nil }, Fault, []string{"offers no ring", "in the guest: modprobe -a xen-evtchn xen-gntalloc"}},
		{"ring, not connected", func(f *XenFacts) { cut(f, 0) }, Fault, []string{"hostd is not connected to it", "systemctl restart guestd"}},
		{"no ring, as hostd does not see it", func(f *XenFacts) {
			cut(f, 0).Error = "several domains are called web1: let the pipe name its domain by UUID"
			f.Domains[1].Offer = nil
		}, Fault, []string{"not connected to its ring: several domains are called web1"}},
		{"silent for long", func(f *XenFacts) {
			f.Now, f.Domains[1].Offer = time.Unix(10_000, 0), nil
			f.Hostd.Status.Guests[0].LastReport = &control.Report{Received: time.Unix(10_000-11*60-7, 0)}
		}, Note, []string{"is fed as guest web1, and its guestd has said nothing for 11m0s: it has ended", "in the guest: systemctl status guestd"}},
		{"ring that cannot be", func(f *XenFacts) { cut(f, 0).Error = "bind: invalid argument" }, Fault, []string{"not connected to its ring: bind: invalid argument", "hostd events"}},
		{"ring that may not be", func(f *XenFacts) { cut(f, 0).Error = "open /dev/xen/evtchn: operation not permitted" }, Fault, []string{"not permitted", "User=root"}},
		{"channel cut", func(f *XenFacts) { cut(f, 1) }, Fault, []string{"domain db1: hostd is not connected to its channel", "takes one client"}},
		{"channel that may not be", func(f *XenFacts) { cut(f, 1).Error = "permission denied" }, Fault, []string{"its channel /run/xen/db1.sock: permission denied", "User=root"}},
		{"channel without a backend", func(f *XenFacts) {
			cut(f, 1).Error = "no such socket"
			f.Domains[0].Ways["/run/xen/db1.sock"] = Way{Err: fs.ErrNotExist}
		}, Fault, []string{"nothing listens at /run/xen/db1.sock", "qemu-dm-db1.log"}},
		{"channel of nobody", func(f *XenFacts) { f.Strays = []Stray{{"x", "/run/xen/x.sock", Way{Err: fs.ErrNotExist}}} }, Note,
			[]string{"nothing is at /run/xen/x.sock, which guest x has", `channel = ["name=dummy,connection=pty", "name=org.headgate.entropy.0,connection=socket,path=/run/xen/x.sock"]`}},
		{"socket of nobody", func(f *XenFacts) { f.Strays = []Stray{{"x", "/run/xen/x.sock", Way{}}} }, Note, []string{"is no domain's here", "xl list"}},
		{"the other of two", func(f *XenFacts) { // web1 migrates within the host, and the new one has no ring yet
			f.Domains = append(f.Domains, XenDomain{Domain: xen.Domain{ID: 7, Name: "web1", UUID: uuid1, Policy: &xen.Policy{}}})
		}, Fault, []string{"hostd has no guest for it"}},
		{"no such one", func(f *XenFacts) { f.Only, f.Domains = "web9", nil }, Fault, []string{"domain web9: there is no such domain", "xl list"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := wellXen()
			tc.change(&f)
			tellsOne(t, ExamineXen(f), tc.level, tc.want...)
		})
	}
}

func TestXenNoFault(t *testing.T) {
	for name, change := range map[string]func(*XenFacts){
		"hostd's user not known": func(f *XenFacts) { f.User, f.Devices[0] = nil, charDevice("/dev/xen/evtchn", 0, 1, 1) },
		"rights by the group": func(f *XenFacts) {
			f.User = &User{UID: 9, GIDs: []uint32{7}}
			f.Devices = []Device{charDevice("/dev/xen/evtchn", 0o660, 0, 7)}
		},
		"at rest": func(f *XenFacts) {
			f.Now, f.Domains[1].Offer = time.Unix(10_000, 0), nil
			f.Hostd.Status.Guests[0].LastReport = &control.Report{Received: time.Unix(10_000-70, 0)}
		},
		"asked of one":               func(f *XenFacts) { f.Only, f.Domains = "web1", f.Domains[1:] },
		"named in the configuration": func(f *XenFacts) { f.Hostd.Status.Guests[0].Pipes[0].Path = "web1" },
	} {
		f := wellXen()
		change(&f)
		if s := said(ExamineXen(f)); s != "" {
			t.Errorf("%s: %s", name, s)
		}
	}
	// Of what a daemon does that does not answer nothing is said.
	f := wellXen()
	f.Hostd = Hostd{Err: errors.New("away")}
	if got := Count(ExamineXen(f), Fault); got != 1 {
		t.Errorf("%d faults", got)
	}
	f.Domains[1].Offer = nil // nobody has asked for one
	if got := Count(ExamineXen(f), Fault); got != 1 {
		t.Errorf("%d faults", got)
	}
}

func TestGatherXen(t *testing.T) {
	root := host(t, map[string]string{"/proc/42/status": "Name:\thostd\nUid:\t998\t998\t998\t998\nGid:\t997\t997\t997\t997\nGroups:\t5 6 \n", "/dev/xen/evtchn": ""}).Root
	s := storetest.New()
	defer s.Close()
	conn := s.Connect(0)
	defer conn.Close()
	for _, id := range []uint16{5, 6} {
		s.Introduce(id)
	}
	for path, value := range map[string]string{
		"/local/domain/5/name": "web1", "/local/domain/5/vm": "/vm/" + uuid1, "/local/domain/6/name": "db1",
		"/local/domain/0/backend/console/6/0/online": "1", "/local/domain/0/backend/console/6/2/name": xen.ChannelName,
		"/local/domain/0/backend/console/6/2/connection": "socket", "/local/domain/0/backend/console/6/2/path": "/run/xen/db1.sock",
		"/local/domain/0/backend/console/6/1/name": "dummy",
	} {
		if err := conn.Write(path, value); err != nil {
			t.Fatal(err)
		}
	}
	h := XenHost{Root: root, Now: time.Now, Control: "/c", Store: conn, Dom0: func() error { return nil },
		Status: func(context.Context) (control.Status, error) {
			return control.Status{PID: 42, Guests: []control.GuestStatus{
				{Name: "db", Pipes: []control.PipeStatus{{Kind: "channel", Path: "/run/xen/db1.sock"}}},
				{Name: "off", Pipes: []control.PipeStatus{{Kind: "channel", Path: "/run/xen/off.sock"}, {Kind: "qemu", Path: "/run/q"}}}}}, nil
		}}
	f := GatherXen(t.Context(), h)
	if f.User == nil || f.User.UID != 998 || len(f.User.GIDs) != 3 || f.Dom0 != nil || f.Store.Err != nil {
		t.Errorf("%+v, %v, %v", f.User, f.Dom0, f.Store.Err)
	}
	if len(f.Devices) != 2 || f.Devices[0].Way.Err != nil || !errors.Is(f.Devices[1].Way.Err, fs.ErrNotExist) {
		t.Errorf("%+v", f.Devices)
	}
	if len(f.Domains) != 2 || f.Domains[0].Name != "db1" || len(f.Domains[0].Channels) != 1 || f.Domains[0].Channels[0].Path != "/run/xen/db1.sock" ||
		f.Domains[0].Ways["/run/xen/db1.sock"].Err == nil || f.Domains[1].UUID != uuid1 {
		t.Errorf("%+v", f.Domains)
	}
	if len(f.Strays) != 1 || f.Strays[0].Guest != "off" {
		t.Errorf("%+v", f.Strays)
	}
	h.Only = "db1"
	if f := GatherXen(t.Context(), h); len(f.Domains) != 1 || f.Strays != nil {
		t.Errorf("%+v", f)
	}
	h.Store, h.StoreErr, h.Dom0 = nil, errors.New("none"), func() error { return errors.New("no Xen") }
	if got := said(ExamineXen(GatherXen(t.Context(), h))); !strings.Contains(got, "fault xen : no Xen") || strings.Contains(got, "xenstore") {
		t.Error(got)
	}
}
