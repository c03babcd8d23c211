package config

import (
	"slices"
	"strings"
)

// Pipe is one way into a guest, written "qemu:/run/headgate/guests/web1.sock" or
// "vchan:web1". Path is of a socket; of a vchan pipe it is what names the domain.
type Pipe struct{ Kind, Path string }

// Kinds of pipe that other packages tell apart: all but these are sockets at which
// hostd listens.
const (
	Vchan   = "vchan"   // a ring that a domain of Xen's offers
	Channel = "channel" // the socket of an xl channel, to which hostd connects
)

var (
	pipeKinds        = []string{"qemu", "egd", "port", Vchan, Channel}
	unbuiltPipeKinds = []string{"vhost-user"}
)

const allowedPipe = "qemu:PATH, egd:PATH, port:PATH, vchan:DOMAIN, channel:PATH"

// ParsePipe reads "KIND:PATH" and "vchan:DOMAIN".
func ParsePipe(s string) (Pipe, error) {
	kind, path, found := strings.Cut(s, ":")
	switch {
	case !found:
		return Pipe{}, refuse(allowedPipe, "%q has no kind", clip(s))
	case slices.Contains(unbuiltPipeKinds, kind):
		return Pipe{}, refuse(allowedPipe, "pipes of kind %q are not built yet", kind)
	case !slices.Contains(pipeKinds, kind):
		return Pipe{}, refuse(allowedPipe, "%q is not a kind of pipe", clip(kind))
	case kind == Vchan:
		return Pipe{Kind: kind, Path: path}, checkDomainKey(path)
	}
	return Pipe{Kind: kind, Path: path}, checkSocketPath(path)
}

func (p Pipe) String() string { return p.Kind + ":" + p.Path }

// ReachesGuestd says whether guestd is at the pipe's other end, so that it can be
// pushed to and reports; at that of the others is the guest's kernel, or any EGD client.
func (p Pipe) ReachesGuestd() bool {
	return p.Kind == "port" || !p.Listens()
}

// Listens says whether hostd makes a socket at the pipe's path.
func (p Pipe) Listens() bool { return p.Kind != Vchan && p.Kind != Channel }

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
