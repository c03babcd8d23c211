package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"headgate/hostd/control"
	"headgate/kvm/libvirt"
)

func (a *App) libvirt() *cobra.Command {
	c := group(&cobra.Command{
		Use:   "libvirt",
		Short: "Wire libvirt's domains to their guests",
		Long: "Wire libvirt's domains to their guests: once per host the hook, once per domain the\n" +
			"device. What a domain may have stands in its own XML.",
		Example: "  hostd libvirt install-hook\n  hostd libvirt attach web1 --class gold\n  hostd libvirt status",
	}, a.libvirtAttach(), a.libvirtDetach(), a.libvirtXML(), a.libvirtStatus(),
		a.libvirtInstallHook(), a.libvirtUninstallHook(), a.libvirtHook(), a.libvirtDoctor(), a.libvirtSidecar())
	c.PersistentFlags().StringVar(&a.libvirtSocket, "libvirt", "", "`SOCKET` of libvirt (default: the first that is there)")
	return c
}

// libvirtd is what the commands ask of libvirt: *libvirt.Conn.
type libvirtd interface {
	Version() (string, error)
	Domains(ctx context.Context, all bool) ([]libvirt.Info, error)
	Lookup(ctx context.Context, nameOrUUID string) (libvirt.Info, error)
	XML(ctx context.Context, uuid string, inactive bool) ([]byte, error)
	AttachDevice(ctx context.Context, uuid, xml string, live, config bool) error
	DetachDevice(ctx context.Context, uuid, xml string, live, config bool) error
	SetPolicy(ctx context.Context, uuid, xml string, live, config bool) error
	Rewrite(ctx context.Context, uuid string, edit func(text []byte) ([]byte, error)) error
	Close() error
}

// libvirtPatience is how long a command waits for libvirt in all. Unplugging a
// device takes it 5 s where the guest does not let go (qemu_hotplug.c).
const libvirtPatience = 30 * time.Second

// controlPatience is how long a command that goes on without hostd waits for it.
const controlPatience = 2 * time.Second

// libvirtd connects to the socket asked for, or to the first that is there.
func (a *App) libvirtd(ctx context.Context, readonly bool) (libvirtd, error) {
	sockets := libvirt.Sockets(readonly)
	if a.libvirtSocket != "" {
		sockets = []string{a.libvirtSocket}
	}
	conn, err := a.dialLibvirt(ctx, sockets)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no libvirt is at %s: start it with \"systemctl start libvirtd\", or name its socket with --libvirt",
			strings.Join(sockets, " or "))
	}
	return conn, err
}

func dialLibvirt(ctx context.Context, sockets []string) (libvirtd, error) {
	conn, err := libvirt.DialFirst(ctx, sockets)
	if err != nil {
		return nil, err // not a nil *Conn in an interface
	}
	return conn, nil
}

// daemonStatus asks hostd how it is, and waits only a little.
func (a *App) daemonStatus(ctx context.Context) (control.Status, error) {
	ctx, stop := context.WithTimeout(ctx, controlPatience)
	defer stop()
	client := a.client()
	defer client.Close()
	s, err := client.Status(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("hostd at %s did not answer within %v", a.control, controlPatience)
	}
	return s, err
}
