package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/xen"
)

const xenClasses = `
[[class]]
name = "gold"
rate = "64KiB/s"
weight = 9
`

func TestAXenDomainIsAGuestWhileItHasAPolicy(t *testing.T) {
	x := xenHosting(t, xenClasses+following)
	x.attach(uuidOf(1), xen.Policy{Class: "gold", Rate: "128KiB/s"})
	x.domain(5, "web1", uuidOf(1))
	x.hungry("web1")
	x.offers(5, 8)
	x.fed("web1", 5)
	g := x.guest("web1")
	if g.Origin != control.OriginXen || !g.Transient || g.Class != "gold" || g.Rate != 128<<10 || g.Weight != 9 ||
		g.Pipes[0].Kind != "vchan" || g.Pipes[0].Path != uuidOf(1) || g.Pipes[0].Error != "" || g.Bytes != 64 {
		t.Errorf("%+v", g)
	}
	if m := g.Domain; m.Name != "web1" || m.UUID != uuidOf(1) || len(m.Problems) > 0 {
		t.Errorf("%+v", m)
	}
	if s := x.Status().Xen; !s.Follow || !s.Dom0 || !s.Connected || s.Socket != "/run/fake" || s.Error != "" || s.Domains != 1 || s.ProblemCount > 0 {
		t.Errorf("%+v", s)
	}
	if err := x.RemoveGuest("web1"); !errors.Is(err, control.ErrInvalid) || !strings.Contains(err.Error(), "hostd xen detach") {
		t.Errorf("removed: %v", err)
	}
	if err := x.AddGuest(x.spec("web1")); !errors.Is(err, control.ErrExists) || !strings.Contains(err.Error(), "hostd xen attach") {
		t.Errorf("added: %v", err)
	}
	x.detach(uuidOf(1))
	x.none("web1")
	x.attach(uuidOf(1), xen.Policy{})
	x.fed("web1", 5)
	x.store.Release(5)
	x.none("web1")
	if s := x.Status().Xen; s.Domains != 0 {
		t.Errorf("%+v", s)
	}
	want := []string{
		"web1: guest added: a domain of Xen's",
		"web1: guest removed: its domain of Xen's has no policy",
		"web1: guest added: a domain of Xen's",
		"web1: guest removed: its domain of Xen's has gone",
	}
	if got := slices.Concat(x.said("guest_added")[:1], x.said("guest_removed")[:1], x.said("guest_added")[1:], x.said("guest_removed")[1:]); !slices.Equal(got, want) {
		t.Errorf("said %q", got)
	}
	if n := len(x.said("xen_connected")); n != 1 {
		t.Errorf("said %d times that it follows", n)
	}
}

// Whom nobody attached gets nothing, and nothing is said about it.
func TestAXenDomainWithoutAPolicyIsNotServed(t *testing.T) {
	x := xenHosting(t, following)
	x.domain(5, "web1", uuidOf(1))
	x.offers(5, 8)
	x.settled()
	if x.has("web1") || x.Status().Xen.ProblemCount > 0 {
		t.Errorf("%+v", x.Status())
	}
}

func TestUnlistedXenDomains(t *testing.T) {
	const unlisted = "[xen]\nunlisted = true\n"
	x := xenHosting(t, unlisted)
	x.domain(5, "web1", uuidOf(1))
	x.domain(6, "quiet", uuidOf(2))
	x.domain(7, "a name", "")
	x.offers(5, 8)
	x.offers(7, 8)
	x.fed("web1", 5)
	x.await(func() bool { // its guestd, should there be one, is told to show itself
		_, err := x.dom0.Read(home(6) + "/" + xen.BellPath)
		return err == nil
	})
	if g := x.guest("web1"); g.Class != "default" || x.has("quiet") {
		t.Errorf("%+v, quiet %v", g, x.has("quiet"))
	}
	// Who withdraws its ring and offers another is the same guest: it cannot fill its
	// bucket that way.
	x.withdraws(5)
	x.hungry("web1")
	x.offers(5, 9)
	x.fed("web1", 5)
	if n := len(x.said("guest_added")); n != 1 || x.guest("web1").Bytes != 128 {
		t.Errorf("added %d times, %+v", n, x.guest("web1"))
	}
	x.await(func() bool { return x.Status().Xen.ProblemCount == 1 })
	if p := x.Status().Xen.Problems[0]; p.Domain != "a name" || p.Kind != control.DomainMiswired || !strings.Contains(p.Text, "no UUID") {
		t.Errorf("%+v", p)
	}
	x.reload(following)
	if x.has("web1") || x.Status().Xen.ProblemCount > 0 || x.Status().Xen.Unlisted {
		t.Errorf("%+v", x.Status())
	}
	x.reload(unlisted)
	x.fed("web1", 5)
}

// What hostd xen attach writes holds at once, also over what was set before.
func TestAXenPolicyChangesLive(t *testing.T) {
	x := xenHosting(t, xenClasses+following)
	x.domain(5, "web1", uuidOf(1))
	x.offers(5, 8)
	x.attach(uuidOf(1), xen.Policy{Class: "gold"})
	x.fed("web1", 5)
	rate := config.Rate(512)
	if err := x.SetGuest("web1", control.GuestPatch{Rate: &rate}); err != nil {
		t.Fatal(err)
	}
	if got := x.said("guest_changed"); len(got) != 1 || !strings.Contains(got[0], "until its domain of Xen's goes, or has another policy") {
		t.Errorf("said %q", got)
	}
	x.offers(5, 9) // nothing about its policy
	x.settled()
	if g := x.guest("web1"); g.Rate != 512 || g.Class != "gold" {
		t.Errorf("%+v", g)
	}
	x.attach(uuidOf(1), xen.Policy{Class: "gold", Weight: "20"})
	x.await(func() bool { g := x.guest("web1"); return g.Weight == 20 && g.Rate == 64<<10 })
	x.attach(uuidOf(1), xen.Policy{Class: "gold"})
	x.await(func() bool { g := x.guest("web1"); return g.Weight == 9 && g.Rate == 64<<10 })

	x.attach(uuidOf(1), xen.Policy{Class: "tin", Rate: "9KiB/s"})
	x.await(func() bool { return x.guest("web1").Class == "default" })
	g := x.guest("web1")
	if g.Rate != 1<<10 || len(g.Domain.Problems) != 1 || g.Domain.Problems[0].Kind != control.DomainPolicy ||
		!strings.Contains(g.Domain.Problems[0].Text, `domain web1: policy class: there is no class "tin"; allowed: default, gold`) {
		t.Errorf("%+v %+v", g, g.Domain)
	}
	x.offers(5, 10)
	x.settled()
	if got := x.said("domain_policy"); len(got) != 1 { // once while it is so
		t.Errorf("said %q", got)
	}
	x.reload(xenClasses + "[[class]]\nname = \"tin\"\nweight = 3\n" + following)
	if g := x.guest("web1"); g.Class != "tin" || g.Rate != 9<<10 || g.Weight != 3 || len(g.Domain.Problems) > 0 || !g.Pipes[0].Connected {
		t.Errorf("%+v", g)
	}
}

const forWeb1 = `
[[guest]]
name = "front"
rate = "3KiB/s"
pipes = ["egd:DIR/front", "vchan:web1"]
`

// A guest that has a pipe for a domain stands for it, whether the domain or the guest
// is there first, and its limits are its own.
func TestAGuestStandsForAXenDomain(t *testing.T) {
	x := xenHosting(t, xenClasses+forWeb1+following)
	connected := func() bool { return x.guest("front").Pipes[1].Connected }
	if g := x.guest("front"); g.Domain != nil || g.Pipes[1].Error != "" {
		t.Errorf("%+v", g)
	}
	x.attach(uuidOf(1), xen.Policy{Class: "gold"})
	x.domain(5, "web1", uuidOf(1))
	x.offers(5, 8)
	x.await(connected)
	if g := x.guest("front"); g.Origin != control.OriginConfig || g.Rate != 3<<10 || g.Transient || g.Domain == nil || g.Domain.ID != 5 || x.has("web1") {
		t.Errorf("%+v %+v", g, g.Domain)
	}
	if s := x.Status().Xen; s.Domains != 1 {
		t.Errorf("%+v", s)
	}
	x.store.Release(5)
	x.await(func() bool { return !connected() && x.guest("front").Domain == nil })
	x.domain(6, "web1", uuidOf(1))
	x.offers(6, 8)
	x.await(connected)
	// Without the guest the domain is one by itself.
	if err := x.RemoveGuest("front"); err != nil {
		t.Fatal(err)
	}
	x.fed("web1", 6)
	if g := x.guest("web1"); g.Class != "gold" {
		t.Errorf("%+v", g)
	}
	// One that is added live takes it, by whatever names it.
	for _, key := range []string{"web1", "6", uuidOf(1)} {
		spec := control.GuestSpec{Guest: config.Guest{Name: "live", Pipes: []config.Pipe{{Kind: config.Vchan, Path: key}}}}
		if err := x.AddGuest(spec); err != nil {
			t.Fatal(err)
		}
		if x.has("web1") {
			t.Errorf("vchan:%s: the domain is a guest by itself, too", key)
		}
		x.fed("live", 6)
		if got := x.guest("live").Transient; got != (key == "6") { // which is another domain's after a restart of the host
			t.Errorf("vchan:%s: transient %v", key, got)
		}
		if err := x.RemoveGuest("live"); err != nil {
			t.Fatal(err)
		}
		x.fed("web1", 6)
	}
	if got := x.said("guest_removed"); !slices.Contains(got, "web1: guest removed: guest live stands for its domain of Xen's") {
		t.Errorf("said %q", got)
	}
}

// The configuration's guest takes the name of a domain's, too.
func TestReloadBringsAGuestForAXenDomain(t *testing.T) {
	x := xenHosting(t, following)
	x.attach(uuidOf(1), xen.Policy{})
	x.domain(5, "web1", uuidOf(1))
	x.offers(5, 8)
	x.fed("web1", 5)
	x.reload("[[guest]]\nname = \"web1\"\nweight = 7\npipes = [\"vchan:web1\"]\n" + following)
	x.fed("web1", 5)
	if g := x.guest("web1"); g.Origin != control.OriginConfig || g.Weight != 7 {
		t.Errorf("%+v", g)
	}
	// One of its name that has no pipe for it keeps it from being served.
	x.reload("[[guest]]\nname = \"web1\"\npipes = [\"egd:DIR/web1\"]\n" + following)
	s := x.Status().Xen
	if g := x.guest("web1"); g.Domain != nil || s.ProblemCount != 1 || s.Problems[0].Domain != "web1" || !strings.Contains(s.Problems[0].Text, "no pipe vchan:"+uuidOf(1)) {
		t.Errorf("%+v %+v", g, s)
	}
	x.reload(following)
	x.fed("web1", 5)
	if g := x.guest("web1"); g.Origin != control.OriginXen || x.Status().Xen.ProblemCount > 0 {
		t.Errorf("%+v", g)
	}
}

// A domain has one ring: the second pipe for it is told whose it is.
func TestOneXenDomainTwoGuests(t *testing.T) {
	x := xenHosting(t, "[[guest]]\nname = \"a\"\npipes = [\"vchan:web1\"]\n[[guest]]\nname = \"b\"\npipes = [\"vchan:5\"]\n"+following)
	x.domain(5, "web1", uuidOf(1))
	x.offers(5, 8)
	x.fed("a", 5)
	if g := x.guest("b"); g.Pipes[0].Connected || g.Domain != nil || !strings.Contains(g.Pipes[0].Error, "domain web1 has one ring, and guest a has it") {
		t.Errorf("%+v", g)
	}
	if err := x.RemoveGuest("a"); err != nil {
		t.Fatal(err)
	}
	x.fed("b", 5)
	if g := x.guest("b"); g.Pipes[0].Error != "" {
		t.Errorf("%+v", g)
	}
}

// No guest of a domain's takes the place of another domain's.
func TestADomainOfLibvirtsHasTheNameOfOneOfXens(t *testing.T) {
	x := xenHosting(t, following+"[libvirt]\nfollow = false\nguests = \"DIR/guests\"\n")
	x.attach(uuidOf(1), xen.Policy{})
	x.domain(5, "web1", uuidOf(1))
	x.offers(5, 8)
	x.fed("web1", 5)
	web := x.machine("web1", 2, 7)
	x.hook("prepare", unlabelled(web))
	x.hook("started", web)
	if g, s := x.guest("web1"), x.Status().Libvirt; g.Origin != control.OriginXen || !g.Pipes[0].Connected || s.ProblemCount != 1 ||
		!strings.Contains(s.Problems[0].Text, "a domain of Xen's has its name") {
		t.Errorf("%+v %+v", g, s)
	}
	x.store.Release(5)
	x.none("web1")
	x.hook("started", web)
	if g := x.guest("web1"); g.Origin != control.OriginLibvirt {
		t.Errorf("%+v", g)
	}
	x.domain(6, "web1", uuidOf(1))
	x.offers(6, 8)
	x.fed(uuidOf(1), 6) // by its UUID
	if g := x.guest("web1"); g.Origin != control.OriginLibvirt {
		t.Errorf("%+v", g)
	}
}

// Of two domains with one identity, as there are while one migrates within a host, the
// newest that offers a ring is it.
func TestAXenDomainMigratesWithinTheHost(t *testing.T) {
	for origin, more := range map[string]string{control.OriginXen: "", control.OriginConfig: "[[guest]]\nname = \"web1\"\npipes = [\"vchan:web1\"]\n"} {
		t.Run(origin, func(t *testing.T) {
			x := xenHosting(t, more+following)
			x.attach(uuidOf(1), xen.Policy{})
			x.domain(5, "web1", uuidOf(1))
			x.offers(5, 8)
			x.fed("web1", 5)
			x.domain(6, "web1--incoming", uuidOf(1))
			x.settled()
			x.fed("web1", 5)
			x.must(x.dom0.Write(home(5)+"/name", "web1--migratedaway"))
			x.offers(6, 8)
			x.fed("web1", 6)
			x.must(x.dom0.Write(home(6)+"/name", "web1"))
			x.store.Release(5)
			x.settled()
			x.fed("web1", 6)
			if g := x.guest("web1"); g.Origin != origin || g.Bytes != 128 || g.Pipes[0].Connections != 2 || len(x.Status().Guests) != 1 {
				t.Errorf("%+v", g)
			}
		})
	}
}

// Who calls his domain as another's is called gets neither its guest nor its limits,
// whichever is there first and whatever it offers.
func TestANameIsNoIdentity(t *testing.T) {
	const named = "[[guest]]\nname = \"front\"\npipes = [\"vchan:web1\"]\n"
	x := xenHosting(t, named+following)
	x.domain(5, "web1", uuidOf(1))
	x.offers(5, 8)
	x.fed("front", 5)
	x.attach(uuidOf(2), xen.Policy{}) // has a policy of its own
	x.domain(6, "web1", uuidOf(2))
	x.offers(6, 8)
	x.fed("web1", 6)
	x.domain(7, "web1--incoming", uuidOf(3))
	x.offers(7, 8)
	x.await(func() bool { return x.Status().Xen.ProblemCount == 1 })
	x.fed("front", 5)
	if p := x.Status().Xen.Problems[0]; p.Domain != "web1" || p.ID != 7 || !strings.Contains(p.Text, "does not get the pipe vchan:web1") {
		t.Errorf("%+v", p)
	}
	x.store.Release(5) // it starts anew
	x.hungry("front")
	x.domain(8, "web1", uuidOf(1))
	x.offers(8, 8)
	x.fed("front", 8)
	// A hostd that comes later cannot tell.
	x.stop()
	x.run(t, x.dir, named+following)
	x.await(func() bool { return x.Status().Xen.ProblemCount == 2 })
	x.fed("web1", 6)
	if g := x.guest("front"); g.Pipes[0].Connected || !strings.Contains(g.Pipes[0].Error, "several domains are called web1: let the pipe name its domain by UUID") {
		t.Errorf("%+v", g)
	}
	x.reload("[[guest]]\nname = \"front\"\npipes = [\"vchan:" + uuidOf(1) + "\"]\n" + following)
	x.fed("front", 8)
	if n := x.Status().Xen.ProblemCount; n != 0 {
		t.Errorf("%d problems: %+v", n, x.Status().Xen)
	}
}

func TestXenNumbersAndNamesAreUsedAgain(t *testing.T) {
	x := xenHosting(t, following)
	x.attach(uuidOf(1), xen.Policy{})
	x.attach(uuidOf(2), xen.Policy{})
	x.domain(5, "web1", uuidOf(1))
	x.offers(5, 8)
	x.fed("web1", 5)
	// The same number, all at once: another domain.
	x.lose(errors.New("restarts"))
	x.store.Release(5)
	x.domain(5, "web2", uuidOf(2))
	x.offers(5, 8)
	x.lose(nil)
	x.fed("web2", 5)
	x.none("web1")
	// Another name: another guest.
	x.must(x.dom0.Write(home(5)+"/name", "www"))
	x.fed("www", 5)
	x.none("web2")
	if got := x.said("guest_removed"); !slices.Contains(got, "web2: guest removed: its domain of Xen's has another name") {
		t.Errorf("said %q", got)
	}
	// Two of one name, as XAPI lets there be: the second goes by its UUID.
	x.domain(6, "www", uuidOf(1))
	x.offers(6, 8)
	x.fed(uuidOf(1), 6)
	x.fed("www", 5)
	// A name that a guest cannot have, and one that looks like another's UUID.
	x.must(x.dom0.Write(home(5)+"/name", uuidOf(9)))
	x.fed(uuidOf(2), 5)
}

func TestXenstoredIsLostAndComesBack(t *testing.T) {
	x := xenHosting(t, following)
	x.attach(uuidOf(1), xen.Policy{})
	x.attach(uuidOf(2), xen.Policy{})
	x.domain(5, "web1", uuidOf(1))
	x.offers(5, 8)
	x.domain(6, "web2", uuidOf(2))
	x.offers(6, 8)
	x.fed("web1", 5)
	x.fed("web2", 6)
	x.lose(fmt.Errorf("no xenstored: %w", fs.ErrNotExist))
	x.await(func() bool { return !x.Status().Xen.Connected })
	if e := x.levelOf("xen_lost"); e.Level != slog.LevelWarn {
		t.Errorf("it was there and is gone: %+v", e)
	}
	// A ring needs no xenstored.
	if g, s := x.guest("web1"), x.Status().Xen; !g.Pipes[0].Connected || s.Domains != 2 || s.Error == "" {
		t.Errorf("%+v, %+v", g, s)
	}
	if err := x.AddGuest(control.GuestSpec{Guest: config.Guest{Name: "late", Pipes: []config.Pipe{{Kind: config.Vchan, Path: "web3"}}}}); err != nil {
		t.Fatal(err)
	}
	if g := x.guest("late"); !strings.HasPrefix(g.Pipes[0].Error, "Xen's domains are not followed: ") {
		t.Errorf("%+v", g)
	}
	x.store.Release(5)
	x.domain(7, "web3", uuidOf(3))
	x.offers(7, 8)
	x.lose(nil)
	x.none("web1")
	x.fed("late", 7)
	if n := len(x.said("guest_added")); n != 3 || x.guest("web2").Pipes[0].Connections == 0 {
		t.Errorf("added %q", x.said("guest_added"))
	}
}

// All that a domain had it has again when hostd comes back, and without a word of its.
func TestHostdRestartsBesideXenDomains(t *testing.T) {
	x := xenHosting(t, xenClasses+following)
	x.attach(uuidOf(1), xen.Policy{Class: "gold"})
	x.domain(5, "web1", uuidOf(1))
	x.offers(5, 8)
	x.domain(6, "live", uuidOf(2))
	x.offers(6, 8)
	x.fed("web1", 5)
	// Its name is a domain's key of another guest, too.
	if err := x.AddGuest(control.GuestSpec{Guest: config.Guest{Name: "other", Pipes: []config.Pipe{{Kind: config.Vchan, Path: "live"}}}}); err != nil {
		t.Fatal(err)
	}
	x.fed("other", 6)
	x.stop()
	x.run(t, x.dir, xenClasses+"[[guest]]\nname = \"live\"\npipes = [\"egd:DIR/e\"]\n"+following)
	x.fed("web1", 5)
	x.fed("other", 6)
	if g := x.guest("web1"); g.Class != "gold" {
		t.Errorf("%+v", g)
	}
}

func TestFollowingXenIsTurnedOnAndOff(t *testing.T) {
	x := xenHosting(t, forWeb1+following)
	x.attach(uuidOf(2), xen.Policy{})
	x.domain(5, "web1", uuidOf(1))
	x.offers(5, 8)
	x.domain(6, "web2", uuidOf(2))
	x.offers(6, 8)
	x.fed("web2", 6)
	x.await(func() bool { return x.guest("front").Pipes[1].Connected })
	x.reload(forWeb1 + "[xen]\nfollow = false\n")
	x.none("web2")
	x.await(func() bool { return !x.guest("front").Pipes[1].Connected })
	if g, s := x.guest("front"), x.Status().Xen; s.Follow || s.Connected || s.Domains > 0 || !strings.Contains(g.Pipes[1].Error, "xen.follow is false") {
		t.Errorf("%+v, %+v", g, s)
	}
	x.reload(forWeb1 + "[xen]\nfollow = true\nsocket = \"/run/other\"\n")
	x.fed("web2", 6)
	x.await(func() bool { return x.guest("front").Pipes[1].Connected })
	if w := x.Status().Warnings; slices.ContainsFunc(w, func(s string) bool { return strings.Contains(s, "xen") }) {
		t.Errorf("warnings %q", w)
	}
}

// Where there is no Xen nothing happens, and nobody is told unless he asks.
func TestAHostWithoutXen(t *testing.T) {
	none := func(d *Daemon) {
		d.xen.host.dom0 = func() error { return errors.New("this system does not run on Xen") }
	}
	r := start(t, t.TempDir(), following, none)
	h := hosting{r}
	h.await(func() bool { return r.Status().Xen.Error != "" })
	if s := r.Status().Xen; !s.Follow || s.Dom0 || s.Connected || s.Error != "this system does not run on Xen" {
		t.Errorf("%+v", s)
	}
	for _, e := range r.Events().Since(0) {
		if strings.HasPrefix(e.Kind, "xen") || strings.Contains(e.Message, "Xen") {
			t.Errorf("%+v", e)
		}
	}
	r = start(t, t.TempDir(), forWeb1+following, none)
	h = hosting{r}
	h.await(func() bool { return len(h.said("xen_lost")) == 1 })
	if g := r.guest("front"); !strings.Contains(g.Pipes[1].Error, "does not run on Xen") {
		t.Errorf("%+v", g)
	}
	if err := r.Reload(); err != nil { // looks again
		t.Fatal(err)
	}
	h.await(func() bool { return len(h.said("xen_lost")) == 2 })
}

// A channel is dialled, and says why it is not there.
func TestAChannel(t *testing.T) {
	r := start(t, t.TempDir(), "[[guest]]\nname = \"web1\"\npipes = [\"channel:DIR/web1.channel\"]\n")
	h := hosting{r}
	h.await(func() bool { return r.guest("web1").Pipes[0].Error != "" })
	if p := r.guest("web1").Pipes[0]; p.Connected || !strings.Contains(p.Error, "connect to "+r.dir+"/web1.channel: no such file or directory: is the domain up") {
		t.Errorf("%+v", p)
	}
}
