package command

import (
	"fmt"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/kvm/libvirt"
)

// socketsOf says where hostd has the domains' sockets, or would have if it ran.
func (a *App) socketsOf(s control.Status) config.Libvirt {
	l := config.Default().Libvirt
	if l.Guests = s.Libvirt.Guests; l.Guests == "" {
		l.Guests = a.guestsFolder()
	}
	return l
}

// withoutHostd says what is taken for granted where hostd does not answer.
func (a *App) withoutHostd(absent error) string {
	return fmt.Sprintf("%v; its sockets are taken to be in %s, and no class was checked", absent, a.guestsFolder())
}

// ends are the sockets that a domain's devices are to be at.
type ends struct{ rng, port, vhost string }

// ownEnds are a domain's own.
func ownEnds(domain libvirt.Info, at config.Libvirt) ends {
	guest := config.DomainGuest(domain.Name, domain.UUID)
	return ends{at.GuestSocket(guest), at.GuestPort(guest), at.GuestVhost(guest)}
}

// standing puts in the place of a domain's own sockets those at which a guest that
// is not of libvirt's making stands for it, and has its device already.
func (e ends) standing(domain libvirt.Info, devices []device, guests []control.GuestStatus) ends {
	for _, g := range guests {
		if g.Origin == control.OriginLibvirt ||
			g.Name != config.DomainGuest(domain.Name, domain.UUID) && (g.Domain == nil || g.Domain.UUID != domain.UUID) {
			continue
		}
		for _, p := range g.Pipes {
			for _, d := range devices {
				switch isPort, isVhost := p.Kind == "port", p.Kind == config.VhostUser; {
				case d.socket() != p.Path || isPort != (d.Channel != nil) || isVhost != (d.Vhost != nil):
				case isPort:
					e.port = p.Path
				case isVhost:
					e.vhost = p.Path
				default:
					e.rng = p.Path
				}
			}
		}
	}
	return e
}
