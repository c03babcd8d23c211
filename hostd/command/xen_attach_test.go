package command

import (
	"strings"
	"testing"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/xen"
)

func TestXenAttach(t *testing.T) {
	const offered = "its guestd offers a ring: it is fed from now on\n"
	for _, c := range []struct {
		name   string
		change func(f *fakeXen, s *control.Status)
		args   string
		code   int
		policy string // afterwards
		say    string // what is printed, or a part of it after …
	}{
		{"one that offers a ring", func(f *fakeXen, _ *control.Status) { f.ring(5) }, "attach web1", 0, "default - -",
			"web1, domain 5: policy set: class default\n" + offered},
		{"by number", nil, "attach 5 --class gold", 0, "gold - -",
			"web1, domain 5: policy set: class gold\nhostd asks for one now: it is fed as soon as its guestd offers a ring\n"},
		{"by UUID, with limits", nil, "attach " + strings.ToUpper(xenUUID(5)) + " --rate unlimited --weight 1000", 0, "- unlimited 1000",
			"policy set: rate unlimited, weight 1000\n"},
		{"above the class's, as the operator may", nil, "attach web1 --class default --rate 1GiB/s", 0, "default 1GiB/s -", "policy set: "},
		{"a class that no domain may choose itself", nil, "attach web1 --class mine", 0, "mine - -", "policy set: class mine\n"},
		{"a class that is not there", nil, "attach web1 --class tin", 1, "- - -", `hostd: domain web1: policy class: there is no class "tin"`},
		{"one that has one", func(f *fakeXen, _ *control.Status) { f.write(xen.PolicyPath+"/"+xenUUID(5)+"/class", "gold") },
			"attach web1", 0, "gold - -", "web1, domain 5: policy stays: class gold\n"},
		{"the same again", func(f *fakeXen, _ *control.Status) { f.write(xen.PolicyPath+"/"+xenUUID(5)+"/class", "gold") },
			"attach web1 --class gold", 0, "gold - -", "policy stays: class gold\n"},
		{"a weight over an older one", func(f *fakeXen, _ *control.Status) { f.write(xen.PolicyPath+"/"+xenUUID(5)+"/class", "gold") },
			"attach web1 --weight 7", 0, "gold - 7", "policy set: class gold, weight 7\n"},
		{"a class over an older one", func(f *fakeXen, _ *control.Status) { f.write(xen.PolicyPath+"/"+xenUUID(5)+"/weight", "9") },
			"attach web1 --class gold", 0, "gold - -", "policy set: class gold\n"},
		{"a mistake goes", func(f *fakeXen, _ *control.Status) {
			f.write(xen.PolicyPath+"/"+xenUUID(5)+"/class", "gold")
			f.write(xen.PolicyPath+"/"+xenUUID(5)+"/klass", "gold")
		}, "attach web1 --class gold", 0, "gold - -", "policy set: class gold\n"},
		{"one that is not there", nil, "attach " + xenUUID(9), 0, "- - -",
			xenUUID(9) + ": policy set: class default\nit is fed as soon as it is there and its guestd offers a ring\n"},
		{"nobody", nil, "attach web9", 1, "- - -", `hostd: domain "web9": this host has no such domain: xl list shows those that run; one that is not there is named by its UUID`},
		{"two of one name", func(f *fakeXen, _ *control.Status) { f.domain(6, "web1", xenUUID(6)); f.ring(6) }, "attach web1", 1, "- - -",
			`hostd: domain "web1": several are called so, domains 5 and 6: name it by its domid or UUID, as hostd xen list shows them`},
		{"one of two, by number", func(f *fakeXen, _ *control.Status) { f.domain(6, "web1", xenUUID(6)); f.ring(6) }, "attach 5", 0, "default - -", "web1, domain 5: "},
		{"one that is called by another's UUID", func(f *fakeXen, _ *control.Status) { f.domain(6, xenUUID(5), xenUUID(6)); f.ring(6) },
			"attach " + xenUUID(5), 0, "default - -", "web1, domain 5: "},
		{"one that is called by a UUID that is not there", func(f *fakeXen, _ *control.Status) { f.domain(6, xenUUID(9), xenUUID(6)) },
			"attach " + xenUUID(9), 0, "- - -", xenUUID(9) + ": policy set: "},
		{"one that is called by a number", func(f *fakeXen, _ *control.Status) { f.domain(6, "7", xenUUID(6)) }, "attach 7", 1, "- - -", `hostd: domain "7": this host has no such domain`},
		{"it rests", func(f *fakeXen, s *control.Status) {
			s.Guests = []control.GuestStatus{{Name: "web1", Rate: 1024, Burst: 4096, Origin: control.OriginXen, Pipes: []control.PipeStatus{{Kind: config.Vchan, Path: xenUUID(5), Connected: true}}}}
		}, "attach web1 --class gold", 0, "gold - -", "class gold\nit is fed now, as guest web1\n"},
		{"without a UUID", func(f *fakeXen, _ *control.Status) { f.domain(6, "bare", "") }, "attach bare", 1, "- - -",
			`hostd: domain bare, 6: its toolstack gave it no UUID, by which a policy is kept: have it fed with hostd guest add NAME --pipe vchan:6`},
		{"hostd does not follow", func(_ *fakeXen, s *control.Status) { s.Xen.Follow, s.Xen.Connected = false, false }, "attach web1", 0, "default - -",
			"note: hostd does not follow Xen, and feeds no domain by its policy: set follow = true"},
		{"hostd does not see", func(f *fakeXen, s *control.Status) {
			f.ring(5)
			s.Xen.Connected, s.Xen.Error = false, "be root"
		}, "attach web1", 0, "default - -", "class default\nnote: hostd does not see xenstore: be root\n"},
		{"it is fed", func(f *fakeXen, s *control.Status) {
			f.ring(5)
			s.Guests = []control.GuestStatus{{Name: "web1", Rate: 1024, Burst: 4096, Origin: control.OriginXen, Pipes: []control.PipeStatus{{Kind: config.Vchan, Path: xenUUID(5), Connected: true}}}}
		}, "attach web1 --class gold", 0, "gold - -", "class gold\nit is fed now, as guest web1\n"},
		{"another stands for it", func(f *fakeXen, s *control.Status) {
			s.Guests = []control.GuestStatus{{Name: "w", Rate: 1024, Burst: 4096, Origin: control.OriginConfig, Pipes: []control.PipeStatus{{Kind: config.Vchan, Path: "web1"}}}}
		}, "attach web1 --class gold", 0, "gold - -", "note: guest w, which is in hostd's configuration, stands for it: its limits hold, not the policy\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			f := r.xenstored(t)
			f.domain(5, "web1", xenUUID(5))
			s := &r.fake.Snapshot
			s.Classes, s.Xen = classes(), control.XenStatus{Follow: true, Dom0: true, Connected: true}
			if c.change != nil {
				c.change(f, s)
			}
			code, out, errs := r.run(t, append([]string{"xen", "--xenstore", f.path}, strings.Fields(c.args)...)...)
			both := out + errs
			if strings.Contains(c.say, "class default\nnote: ") || strings.HasPrefix(c.say, "note: ") {
				both = strings.Replace(out, "\n", "\n"+errs, 1)
			}
			if code != c.code || !strings.Contains(both, c.say) {
				t.Errorf("exit %d:\n%s%s\nwant %s", code, out, errs, c.say)
			}
			if got := f.policy(xenUUID(5)); got != c.policy {
				t.Errorf("the policy is %q, want %q", got, c.policy)
			}
			if _, err := f.dom0.List(xen.PolicyPath + "/" + xenUUID(5) + "/klass"); err == nil {
				t.Error("the mistake is still there")
			}
		})
	}
}

// Without hostd it is done all the same: hostd finds it when it comes.
func TestXenAttachAlone(t *testing.T) {
	r := newRig(t)
	f := r.xenstored(t)
	f.domain(5, "web1", xenUUID(5))
	f.ring(5)
	code, out, errs := r.run(t, "xen", "attach", "web1", "--class", "who-knows", "--xenstore", f.path, "--control", "/nonexistent/c.sock")
	if code != 0 || out != "web1, domain 5: policy set: class who-knows\n" || !strings.HasPrefix(errs, "note: no hostd answers at") || f.policy(xenUUID(5)) != "who-knows - -" {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
}

func TestXenDetach(t *testing.T) {
	r := newRig(t)
	f := r.xenstored(t)
	f.domain(5, "web1", xenUUID(5))
	f.write(xen.PolicyPath+"/"+xenUUID(5)+"/class", "gold")
	f.write(xen.PolicyPath+"/"+xenUUID(9)+"/class", "gold")
	s := &r.fake.Snapshot
	s.Guests = []control.GuestStatus{{Name: "web1", Rate: 1024, Burst: 4096, Origin: control.OriginXen, Pipes: []control.PipeStatus{{Kind: config.Vchan, Path: xenUUID(5)}}}}
	for _, c := range []struct {
		domain, out, errs string
		code              int
	}{
		{"web1", "web1, domain 5: policy removed\n", "", 0},
		{"web1", "web1, domain 5: nothing to do: it has no policy\n", "", 0},
		{xenUUID(9), xenUUID(9) + ": policy removed\n", "", 0},
		{"web9", "", `hostd: domain "web9": this host has no such domain`, 1},
	} {
		code, out, errs := r.run(t, "xen", "detach", c.domain, "--xenstore", f.path)
		if code != c.code || out != c.out || !strings.HasPrefix(errs, c.errs) || c.errs == "" && errs != "" {
			t.Errorf("%s: exit %d: %s%s", c.domain, code, out, errs)
		}
	}
	if got := f.policy(xenUUID(5)) + f.policy(xenUUID(9)); got != "- - -- - -" {
		t.Error(got)
	}
	s.Xen.Unlisted = true
	if _, _, errs := r.run(t, "xen", "detach", "web1", "--xenstore", f.path); !strings.HasPrefix(errs, "note: it is fed in the class default: ") {
		t.Error(errs)
	}
	s.Guests[0].Origin = control.OriginAPI
	if _, _, errs := r.run(t, "xen", "detach", "web1", "--xenstore", f.path); errs != "note: it goes on as guest web1, which was added live\n" {
		t.Error(errs)
	}
}
