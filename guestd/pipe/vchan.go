//go:build linux

package pipe

import (
	"errors"
	"io"
	"os"
	"time"

	"headgate/xen/vchan"
)

// RingPath is where a guest offers its ring to domain 0, under its own path in
// xenstore.
const RingPath = "data/headgate"

// BellPath is what domain 0 writes when the guest is to offer its ring now, whatever
// it writes. The guest watches it; the watch fires after each resume, too.
const BellPath = "data/headgate-bell"

// Devices that a ring is made of, and how they come to be there.
const (
	gntalloc = "/dev/xen/gntalloc"
	evtchn   = "/dev/xen/evtchn"
	modprobe = ": modprobe xen_gntalloc xen_evtchn"
)

// openVchan makes ready to offer rings.
func (pl *Place) openVchan(path string) (Pipe, error) {
	if pl.findXen() == "" {
		return nil, ErrNone
	}
	for _, dev := range []string{gntalloc, evtchn} {
		if !exists(pl.Root + dev) {
			return nil, errors.New("vchan: no " + pl.Root + dev + modprobe)
		}
	}
	lock, err := os.Open(pl.Root + gntalloc)
	if err != nil {
		return nil, err
	}
	if err := own(lock); err != nil {
		_ = lock.Close()
		return nil, errors.New("vchan:" + path + ": " + err.Error())
	}
	v, err := newSessions(pl.xenstore(), path, listen)
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	v.free = func() { _ = lock.Close() }
	return v, nil
}

// ring is what a vchan.Conn can do.
type ring interface {
	io.ReadWriteCloser
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
	// Met says whether the host has come.
	Met() bool
	// Abandon is Close after a resume of this guest.
	Abandon() error
}

func listen(t *tie, path string) (ring, error) {
	r, err := vchan.Listen(t.Conn, vchan.Config{Domain: 0, Path: path})
	if err != nil {
		return nil, err // not a nil *Conn in an interface
	}
	return r, nil
}
