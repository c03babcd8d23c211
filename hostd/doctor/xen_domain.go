package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/xen"
)

func xenDomains(f XenFacts) []Finding {
	var found []Finding
	for _, d := range f.Domains {
		of := f.examine(d)
		for i := range of {
			of[i].About, of[i].Domain = "domain", d.called()
		}
		found = append(found, of...)
	}
	if f.Only != "" && len(found) == 0 && f.Store.Err == nil && f.Dom0 == nil {
		found = append(found, Finding{Level: Fault, About: "domain", Domain: f.Only, Text: "there is no such domain", Remedy: "xl list"})
	}
	return found
}

// called is the domain's name, or what it goes by.
func (d XenDomain) called() string {
	if d.Name != "" {
		return d.Name
	}
	return number(d.ID)
}

// examine gives what there is to say of one domain: its faults and notes, or that it
// is well.
func (f XenFacts) examine(d XenDomain) []Finding {
	g, pipe := GuestOf(d.Domain, d.Channels, f.Hostd.Status.Guests)
	found := f.wrong(d, g)
	switch {
	case g != nil && pipe.Connected:
		if len(found) == 0 {
			found = append(found, f.fed(d, *g, pipe))
		}
		return found
	case f.Hostd.Err != nil:
		found = append(found, f.unasked(d)...)
	case g != nil && pipe.Kind == config.Channel:
		found = append(found, f.channel(d, *g, pipe))
	case g != nil:
		found = append(found, f.ring(d, *g, pipe))
	case len(found) > 0: // hostd says itself what keeps it
	default:
		found = append(found, f.unlisted(d))
	}
	return found
}

// longQuiet is how long a guestd may be silent before that is worth a word: ten of its
// usual intervals. It may have a longer one, and then all is well.
const longQuiet = 10 * time.Minute

// fed says of a domain that it is fed. Between its rings a guestd cannot be seen, nor
// that it has ended.
func (f XenFacts) fed(d XenDomain, g control.GuestStatus, p control.PipeStatus) Finding {
	if r := g.LastReport; p.Kind == config.Vchan && d.Offer == nil && r != nil {
		if quiet := f.Now.Sub(r.Received); quiet > longQuiet {
			return note("", "in the guest: systemctl status guestd", "is fed as guest %s, and its guestd has said nothing for %s: it has ended, or its --interval is as long",
				g.Name, quiet.Truncate(time.Minute))
		}
	}
	return good("", "is fed over its %s as guest %s, class %s, %d bytes so far", waysName(p), g.Name, g.Class, g.Bytes)
}

// waysName names the way into a domain.
func waysName(p control.PipeStatus) string {
	if p.Kind == config.Channel {
		return "channel"
	}
	return "ring"
}

// wrong are the mistakes of its policy and what else hostd has found.
func (f XenFacts) wrong(d XenDomain, g *control.GuestStatus) (found []Finding) {
	name := config.ShellWord(d.called())
	for _, p := range XenProblems(d.Domain, g, f.Hostd.Status) {
		text := strings.TrimPrefix(p.Text, "domain "+d.Name+": ")
		if p.Kind == control.DomainPolicy {
			found = append(found, fault("", "hostd xen attach "+name+" --class CLASS", "%s", text))
			continue
		}
		found = append(found, fault("", "hostd events | grep "+name, "%s", text))
	}
	return found
}

// unasked is what can be said of a domain while hostd is away. That it offers no ring
// says nothing: nobody has asked for one.
func (f XenFacts) unasked(d XenDomain) []Finding {
	switch {
	case d.Policy == nil:
		return nil
	case d.Offer == nil:
		return []Finding{good("", "is attached")}
	}
	return []Finding{good("", "is attached and offers a ring")}
}

// unlisted judges a domain for which hostd has no guest.
func (f XenFacts) unlisted(d XenDomain) Finding {
	attach := "hostd xen attach " + config.ShellWord(d.called())
	socket := slices.IndexFunc(d.Channels, func(c Channel) bool { return c.Path != "" })
	switch {
	case d.UUID == "":
		return note("", fmt.Sprintf("hostd guest add NAME --pipe vchan:%d", d.ID), "its toolstack gave it no UUID, by which it could be attached")
	case d.Policy != nil:
		return fault("", "hostd events | grep "+config.ShellWord(config.DomainGuest(d.Name, d.UUID))+"    # if that says nothing: systemctl restart hostd",
			"it is attached, and hostd has no guest for it")
	case d.Offer != nil:
		return fault("", attach, "its guestd offers a ring, and nobody attached it: it gets nothing")
	case socket >= 0:
		return note("", "hostd guest add "+config.ShellWord(config.DomainGuest(d.Name, d.UUID))+" --pipe "+config.ShellWord("channel:"+d.Channels[socket].Path),
			"it has a channel at %s, and no guest of hostd's has it", d.Channels[socket].Path)
	case len(d.Channels) > 0:
		return note("", `write connection=socket,path=/run/xen/NAME.sock into its channel = ["…"], and create it anew`,
			"its channel %s is a %s, to which hostd does not connect", xen.ChannelName, d.Channels[0].Connection)
	}
	return note("", attach, "nobody attached it")
}

// ring judges a domain whose guest has a vchan pipe that is not connected.
func (f XenFacts) ring(d XenDomain, g control.GuestStatus, p control.PipeStatus) Finding {
	again := "in the guest: systemctl restart guestd; here: hostd events | grep " + config.ShellWord(g.Name)
	switch {
	case p.Error != "":
		return fault("", mend(p.Error, again), "hostd is not connected to its ring: %s", p.Error)
	case d.Offer == nil:
		return fault("", "in the guest: modprobe -a xen-evtchn xen-gntalloc && systemctl enable --now guestd && guestd status",
			"its guestd offers no ring, though hostd asked for one")
	}
	return fault("", again, "it offers a ring, and hostd is not connected to it")
}

// channel judges a domain whose guest has a channel pipe that is not connected.
func (f XenFacts) channel(d XenDomain, g control.GuestStatus, p control.PipeStatus) Finding {
	switch way := d.Ways[p.Path]; {
	case way.Err != nil:
		return fault("", "xl dmesg; tail /var/log/xen/qemu-dm-"+config.ShellWord(d.called())+".log    # then create the domain anew",
			"nothing listens at %s: the QEMU that has its channel is gone", p.Path)
	case p.Error != "":
		return fault("", mend(p.Error, "hostd events | grep "+config.ShellWord(g.Name)), "its channel %s: %s", p.Path, p.Error)
	}
	return fault("", "ss -xp | grep "+config.ShellWord(p.Path)+"    # a channel takes one client",
		"hostd is not connected to its channel %s", p.Path)
}

// strays judges the guests whose channels no domain has now.
func strays(f XenFacts) (found []Finding) {
	for _, s := range f.Strays {
		switch {
		case f.Dom0 != nil || f.Store.Err != nil:
		case s.Way.Err == nil:
			found = append(found, note("guest", "xl list", "%s, which guest %s has as its channel, is no domain's here", s.Path, s.Guest))
		default:
			found = append(found, note("guest", `in the domain's file: channel = ["name=dummy,connection=pty", "name=`+xen.ChannelName+`,connection=socket,path=`+s.Path+`"]`,
				"nothing is at %s, which guest %s has as its channel: its domain does not run, or has no such channel", s.Path, s.Guest))
		}
	}
	return found
}
