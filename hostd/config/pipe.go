package config

import (
	"slices"
	"strings"
)

// Pipe is one way into a guest, written "qemu:/run/headgate/guests/web1.sock" or
// "vchan:web1". Path is of a socket; of a vchan pipe it is what names the domain.
type Pipe struct {
	Kind, Path string
	Server     bool // of a vhost-user pipe: hostd listens and QEMU connects, and not the other way round
}

// Kinds of pipe that other packages tell apart: at the sockets of all but these hostd
// listens.
const (
	VhostUser = "vhost-user" // the socket of QEMU's vhost-user-rng, to which hostd connects, or listens if it is the server
	Vchan     = "vchan"      // a ring that a domain of Xen's offers
	Channel   = "channel"    // the socket of an xl channel, to which hostd connects
)

var pipeKinds = []string{"qemu", "egd", VhostUser, "port", Vchan, Channel}

const (
	allowedPipe      = "qemu:PATH, egd:PATH, vhost-user:PATH[,server=on], port:PATH, vchan:DOMAIN, channel:PATH"
	allowedVhostUser = "vhost-user:PATH, where QEMU's chardev is server=on and hostd connects to it, or vhost-user:PATH,server=on, where hostd listens; no comma in PATH"
)

// server follows the path of a vhost-user pipe at which hostd listens. It is what
// QEMU's chardev calls that.
const server = "server=on"

// ParsePipe reads "KIND:PATH", "vhost-user:PATH,server=on" and "vchan:DOMAIN".
func ParsePipe(s string) (Pipe, error) {
	kind, path, found := strings.Cut(s, ":")
	switch {
	case !found:
		return Pipe{}, refuse(allowedPipe, "%q has no kind", clip(s))
	case !slices.Contains(pipeKinds, kind):
		return Pipe{}, refuse(allowedPipe, "%q is not a kind of pipe", clip(kind))
	case kind == Vchan:
		return Pipe{Kind: kind, Path: path}, checkDomainKey(path)
	case kind == VhostUser:
		path, option, has := strings.Cut(path, ",")
		if has && option != server {
			return Pipe{}, refuse(allowedVhostUser, "%q follows the path", clip(","+option))
		}
		return Pipe{Kind: kind, Path: path, Server: has}, checkSocketPath(path)
	}
	return Pipe{Kind: kind, Path: path}, checkSocketPath(path)
}

func (p Pipe) String() string {
	if p.Server {
		return p.Kind + ":" + p.Path + "," + server
	}
	return p.Kind + ":" + p.Path
}

// ReachesGuestd says whether guestd is at the pipe's other end, so that it can be
// pushed to and reports; at that of the others is the guest's kernel, or any EGD client.
func (p Pipe) ReachesGuestd() bool {
	return p.Kind == "port" || p.Kind == Vchan || p.Kind == Channel
}

// Listens says whether hostd makes a socket at the pipe's path.
func (p Pipe) Listens() bool {
	return p.Server || p.Kind != VhostUser && p.Kind != Vchan && p.Kind != Channel
}

// Passing says whether the pipe names a domain by its domid, which is another domain's
// after the next start of the host.
func (p Pipe) Passing() bool { return p.Kind == Vchan && digits(p.Path) }

// MarshalText writes the pipe as String does.
func (p Pipe) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what ParsePipe reads.
func (p *Pipe) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePipe(string(text))
	return err
}
