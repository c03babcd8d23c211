package command

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/xen"
	"headgate/xen/xenstore"
	"headgate/xen/xenstore/storetest"
)

// fakeXen is a xenstored with domains in it.
type fakeXen struct {
	*storetest.Store
	*testing.T
	path string // of its socket
	dom0 *xenstore.Conn
}

// xenstored puts a xenstored beside the command line.
func (r *rig) xenstored(t *testing.T) *fakeXen {
	t.Helper()
	f := &fakeXen{Store: storetest.New(), T: t, path: filepath.Join(t.TempDir(), "x.sock")}
	f.Listen(t, f.path)
	f.dom0 = f.Connect(0)
	t.Cleanup(func() { f.dom0.Close() })
	return f
}

func (f *fakeXen) write(path, value string) {
	f.Helper()
	if err := f.dom0.Write(path, value); err != nil {
		f.Fatal(err)
	}
}

// domain makes one as xl does.
func (f *fakeXen) domain(id uint16, name, uuid string) {
	f.Helper()
	f.Introduce(id)
	home := fmt.Sprintf("/local/domain/%d/", id)
	if name != "" {
		f.write(home+"name", name)
	}
	if uuid != "" {
		f.write(home+"vm", "/vm/"+uuid)
	}
}

// ring has a domain's guestd offer one.
func (f *fakeXen) ring(id uint16) {
	f.Helper()
	s := f.Connect(id)
	defer s.Close()
	for node, value := range map[string]string{"ring-ref": "8", "event-channel": "15"} {
		if err := s.Write(xen.RingPath+"/"+node, value); err != nil {
			f.Fatal(err)
		}
	}
}

// channel gives a domain one, as libxl writes it.
func (f *fakeXen) channel(id uint16, n int, name, connection, path string) {
	f.Helper()
	base := fmt.Sprintf("/local/domain/0/backend/console/%d/%d/", id, n)
	f.write(base+"online", "1")
	if name != "" {
		f.write(base+"name", name)
		f.write(base+"connection", connection)
	}
	if path != "" {
		f.write(base+"path", path)
	}
}

// policy reads what dom0 has for a domain: class, rate, weight, of each "-" if there
// is none.
func (f *fakeXen) policy(uuid string) string {
	f.Helper()
	text := ""
	for _, node := range []string{"class", "rate", "weight"} {
		value, err := f.dom0.Read(xen.PolicyPath + "/" + uuid + "/" + node)
		if err != nil {
			value = "-"
		}
		text += value + " "
	}
	return text[:len(text)-1]
}

func xenUUID(n int) string { return fmt.Sprintf("0f1e2d3c-4b5a-6978-8796-%012d", n) }

// xenDomains puts one of every kind in xenstore, and what hostd has of them.
func xenDomains(t *testing.T, r *rig) *fakeXen {
	f := r.xenstored(t)
	attached := func(id int, class string) {
		f.write(xen.PolicyPath+"/"+xenUUID(id)+"/class", class)
	}
	f.domain(1, "web1", xenUUID(1))
	f.ring(1)
	attached(1, "gold")
	f.write(xen.PolicyPath+"/"+xenUUID(1)+"/klass", "gold")
	f.domain(2, "db1", xenUUID(2))   // of the configuration, and rests
	f.domain(3, "plain", xenUUID(3)) // nobody's
	f.domain(4, "asks", xenUUID(4))  // offers, and nobody attached it
	f.ring(4)
	f.domain(5, "mute", xenUUID(5)) // attached, and guestd is not there
	attached(5, "default")
	f.domain(6, "unnoticed", xenUUID(6)) // attached, and hostd has no guest
	f.ring(6)
	attached(6, "gold")
	f.domain(7, "chan1", xenUUID(7)) // through a channel
	f.channel(7, 0, "", "", "")
	f.channel(7, 1, "dummy", "pty", "")
	f.channel(7, 2, xen.ChannelName, "socket", "/run/xen/chan1.sock")
	f.domain(8, "stuck", xenUUID(8)) // offers, and cannot be connected to
	f.ring(8)
	attached(8, "default")
	f.domain(9, "", "") // which nobody can name
	attached(99, "silver")
	f.write(xen.PolicyPath+"/"+xenUUID(99)+"/rate", "2KiB/s")

	s := busyStatus()
	s.Xen = control.XenStatus{Follow: true, Dom0: true, Connected: true, Socket: xenstore.SocketPath, Domains: 6, ProblemCount: 1,
		Problems: []control.DomainProblem{{Domain: "unnoticed", ID: 6, Problem: control.Problem{Kind: control.DomainMiswired, Text: "domain unnoticed: it is odd\x1b"}}}}
	of := func(id int, name string) *control.DomainStatus {
		return &control.DomainStatus{Name: name, UUID: xenUUID(id), ID: id}
	}
	s.Guests = []control.GuestStatus{
		{Name: "chan1", Class: "default", Rate: 1024, Burst: 4096, Weight: 1, Origin: control.OriginConfig, Bytes: 128, Seeded: true, FirstBytes: 0.004,
			Pipes: []control.PipeStatus{{Kind: "qemu", Path: "/run/x"}, {Kind: config.Channel, Path: "/run/xen/chan1.sock", Connected: true}}},
		{Name: "db", Class: "default", Rate: 4096, Burst: 4096, Weight: 3, Origin: control.OriginAPI, Bytes: 64, Seeded: true, FirstBytes: 0.01,
			Pipes: []control.PipeStatus{{Kind: config.Vchan, Path: "db1", Connected: true}}, Domain: of(2, "db1"),
			LastReport: &control.Report{Received: now.Add(-90 * time.Second), Reason: "int\nerval", CreditedBits: 1536}},
		{Name: "mute", Class: "default", Rate: 1024, Burst: 4096, Weight: 1, Origin: control.OriginXen, Transient: true,
			Pipes: []control.PipeStatus{{Kind: config.Vchan, Path: xenUUID(5)}}, Domain: of(5, "mute")},
		{Name: "off", Class: "default", Rate: 1024, Burst: 4096, Weight: 1, Origin: control.OriginConfig,
			Pipes: []control.PipeStatus{{Kind: config.Channel, Path: "/run/xen/off.sock", Error: "no such socket: is the domain up?"}}},
		{Name: "stuck", Class: "default", Rate: 1024, Burst: 4096, Weight: 1, Origin: control.OriginXen, Transient: true,
			Pipes: []control.PipeStatus{{Kind: config.Vchan, Path: xenUUID(8), Error: "open /dev/xen/gntdev: permission denied"}}, Domain: of(8, "stuck")},
		{Name: "web1", Class: "gold", Rate: config.Unlimited, Burst: 8192, Weight: 4, Origin: control.OriginXen, Transient: true, Bytes: 65536, Seeded: true, FirstBytes: 0.0004,
			Pipes: []control.PipeStatus{{Kind: config.Vchan, Path: xenUUID(1), Connected: true}}, Domain: of(1, "web1")},
	}
	s.Guests[5].Domain.Problems = []control.Problem{{Kind: control.DomainPolicy, Text: `domain web1: policy not understood: node "klass"`}}
	r.fake.Snapshot = s
	return f
}
