package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/hostd/doctor"
	"headgate/xen"
)

func (a *App) xenAttach() *cobra.Command {
	c := &cobra.Command{
		Use:   "attach DOMAIN",
		Short: "Have a domain fed, and say what it may have",
		Long: "Have a domain fed, by writing its policy where hostd looks for it: dom0's own part of\n" +
			"xenstore. DOMAIN is its name, its domid, or its UUID, and by its UUID it need not be there\n" +
			"yet. With neither hostd nor the guest's guestd running it is done all the same. With\n" +
			"--class the rate and weight of an older policy go, unless they are given too.",
		Example: "  hostd xen attach web1 --class gold --rate 4KiB/s\n  hostd xen attach 0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
		Args:    exactly("DOMAIN"),
	}
	flags := operatorsPolicy(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		s, d, err := a.xenDomain(args[0])
		if err != nil {
			return err
		}
		defer s.Close()
		status, absent := a.daemonStatus(c.Context())
		present := fromStore(d.Policy)
		if err := flags.check(args[0], status.Classes, present); err != nil {
			return err
		}
		next := flags.over(present)
		if next == nil && present == nil {
			next = &config.Policy{Class: config.DefaultClass}
		}
		done := "policy stays: "
		if next != nil {
			done = "policy set: "
			policy := xen.Policy{Class: next.Class, Rate: next.Rate, Weight: next.Weight}
			if err := xen.SetPolicy(s, d.UUID, policy); err != nil {
				return fmt.Errorf("domain %s: set its policy: %w", args[0], err)
			}
			d.Policy, present = &policy, next
		}
		fmt.Fprintf(a.Out, "%s: %s%s\n", domainText(d), done, policyText(*present))
		channels, _ := doctor.Channels(s, d.ID) // without them less is said
		a.outlook(d, channels, status, absent)
		return nil
	}
	return c
}

// outlook says when a domain that is attached will be fed, or why not.
func (a *App) outlook(d xen.Domain, channels []doctor.Channel, s control.Status, absent error) {
	g, pipe := doctor.GuestOf(d, channels, s.Guests)
	note := func(format string, args ...any) { fmt.Fprintf(a.Err, "note: "+format+"\n", args...) }
	switch {
	case absent != nil:
		note("%v; the domain is fed from then on", absent)
	case !s.Xen.Follow:
		note("hostd does not follow Xen, and feeds no domain by its policy: set follow = true under [xen] in its configuration, then: systemctl reload hostd")
	case !s.Xen.Connected:
		note("hostd does not see xenstore: %s", printable(s.Xen.Error))
	case g != nil && g.Origin != control.OriginXen && pipe.Kind == config.Vchan:
		note("guest %s, which %s, stands for it: its limits hold, not the policy", g.Name, origin(*g))
	}
	follows := absent == nil && s.Xen.Follow && s.Xen.Connected
	switch {
	case g != nil && pipe.Connected:
		fmt.Fprintf(a.Out, "it is fed now, as guest %s\n", g.Name)
	case absent == nil && !follows: // the note says what it takes
	case d.ID == 0:
		fmt.Fprintln(a.Out, "it is fed as soon as it is there and its guestd offers a ring")
	case d.Offer != nil && follows:
		fmt.Fprintln(a.Out, "its guestd offers a ring: it is fed from now on")
	case follows:
		fmt.Fprintln(a.Out, "hostd asks for one now: it is fed as soon as its guestd offers a ring")
	}
}

// origin says where a guest comes from.
func origin(g control.GuestStatus) string {
	if g.Origin == control.OriginAPI {
		return "was added live"
	}
	return "is in hostd's configuration"
}

func (a *App) xenDetach() *cobra.Command {
	c := &cobra.Command{
		Use:   "detach DOMAIN",
		Short: "Have a domain fed no longer",
		Long: "Take away what attach wrote. DOMAIN is the domain's name, its domid, or its UUID, and by\n" +
			"its UUID it need not be there any more.",
		Example: "  hostd xen detach web1",
		Args:    exactly("DOMAIN"),
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		s, d, err := a.xenDomain(args[0])
		if err != nil {
			return err
		}
		defer s.Close()
		there, err := xen.RemovePolicy(s, d.UUID)
		if err != nil {
			return fmt.Errorf("domain %s: remove its policy: %w", args[0], err)
		}
		if there {
			fmt.Fprintf(a.Out, "%s: policy removed\n", domainText(d))
		} else {
			fmt.Fprintf(a.Out, "%s: nothing to do: it has no policy\n", domainText(d))
		}
		status, absent := a.daemonStatus(c.Context())
		if absent != nil {
			return nil
		}
		if g, _ := doctor.GuestOf(d, nil, status.Guests); g != nil && g.Origin != control.OriginXen {
			fmt.Fprintf(a.Err, "note: it goes on as guest %s, which %s\n", g.Name, origin(*g))
		} else if status.Xen.Unlisted {
			fmt.Fprintf(a.Err, "note: it is fed in the class %s: hostd's configuration says unlisted = true under [xen]\n", config.DefaultClass)
		}
		return nil
	}
	return c
}
