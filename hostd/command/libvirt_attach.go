package command

import (
	"github.com/spf13/cobra"

	"headgate/hostd/control"
	"headgate/kvm/libvirt"
)

func (a *App) libvirtAttach() *cobra.Command {
	c := &cobra.Command{
		Use:   "attach DOMAIN",
		Short: "Give a domain its rng device, and its policy",
		Long: "Give a domain the rng device that hostd feeds, and with --class, --rate or --weight the\n" +
			"policy that says what it may have. With neither --live nor --config both are done, as far\n" +
			"as the domain runs and is persistent. What is there already stays. With --class the rate\n" +
			"and weight of an older policy go, unless they are given too.\n\n" +
			"With --vhost-user it is a vhost-user-rng device, whose requests hostd answers straight in\n" +
			"the domain's memory, which is shared for that. It stands in the domain's definition alone,\n" +
			"and takes the place of the rng device that hostd feeds. A domain with it cannot be saved\n" +
			"or migrated, and does not start without the hook, or while hostd is away.",
		Example: "  hostd libvirt attach web1\n  hostd libvirt attach web1 --config --class gold --rate 4KiB/s\n  hostd libvirt attach web1 --live --replace\n  hostd libvirt attach web1 --vhost-user",
		Args:    exactly("DOMAIN"),
	}
	on := newSides(c)
	policy := domainsPolicy(c)
	port := c.Flags().Bool("port", false, "also guestd's port, "+libvirt.EntropyPort)
	vhost := c.Flags().Bool("vhost-user", false, "a vhost-user-rng device instead, from its next start on")
	replace := c.Flags().Bool("replace", false, "take out its other rng devices, and make anew what is wired wrongly or not connected; of the port with --port alone")
	c.RunE = func(c *cobra.Command, args []string) error {
		on := on
		if *vhost {
			var err error
			if on, err = on.next(c); err != nil {
				return err
			}
		}
		return a.change(c.Context(), args[0], on, func(d definition, s control.Status) (plan, error) {
			w, err := wiringOf(ownEnds(d.info, a.socketsOf(s)).standing(d.info, d.devices, s.Guests), *port, *vhost)
			if err != nil {
				return plan{}, err
			}
			w.policy, w.replace, w.live = *policy, *replace, d.live
			if d.live {
				markCut(d.devices, s.Guests)
			}
			if err := policy.check(d.info.Name, s.Classes, fromXML(d.Policy)); err != nil {
				return plan{}, err
			}
			p := planAttach(d.info.Name, d.devices, d.Policy, w)
			if *vhost {
				p.tellOfVhost(d.info)
			}
			return p, nil
		})
	}
	return c
}

func (a *App) libvirtDetach() *cobra.Command {
	c := &cobra.Command{
		Use:   "detach DOMAIN",
		Short: "Take a domain's rng device and policy away",
		Long: "Take away what attach gave: every rng device, port and vhost-user device that is at a\n" +
			"socket in the folder of the domains', and the policy. With neither --live nor --config both\n" +
			"are done, as far as the domain runs and is persistent. A vhost-user device goes from the\n" +
			"configuration alone.",
		Example: "  hostd libvirt detach web1 --config",
		Args:    exactly("DOMAIN"),
	}
	on := newSides(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.change(c.Context(), args[0], on, func(d definition, s control.Status) (plan, error) {
			return planDetach(d.devices, d.Policy, a.socketsOf(s).Guests, d.live), nil
		})
	}
	return c
}
