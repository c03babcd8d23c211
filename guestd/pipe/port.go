//go:build linux

package pipe

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"headgate/wire/feed"
)

// port is a virtio-serial port that speaks feed.
type port struct{ *stream }

func openPort(path string) (Pipe, error) {
	dev, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.EBUSY) {
		return nil, errors.New(path + ": " + inUse)
	}
	if err != nil {
		return nil, err
	}
	return newPort(dev)
}

const inUse = "in use: is another guestd running?"

func newPort(dev *os.File) (Pipe, error) {
	s, err := newStream(dev, false)
	if err != nil {
		return nil, err
	}
	// Not held, clones differ a little later: no reason not to feed.
	_ = s.raw.Control(func(fd uintptr) { s.hold, _ = newHold(int(fd)) })
	return port{s}, nil
}

func (p port) Receive() (feed.Batch, error) { return p.receive() }
func (p port) Ask(n int) error              { return p.send(request(n)) }
func (p port) Report(r *feed.Report) error  { return p.send(report(r)) }
func (p port) Renew()                       {} // every frame has its epoch
func (p port) Wipe()                        { p.wipe() }
func (p port) Kind() Kind                   { return PortKind }
func (p port) Path() string                 { return p.dev.Name() }
func (p port) Close() error                 { return p.close() }
