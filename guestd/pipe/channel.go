//go:build linux

package pipe

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"sync/atomic"

	"headgate/wire/feed"
	"headgate/xen/console"
)

// openChannel opens the tty of an xl channel: the one that xenstore names, or the
// one that is given.
func (pl *Place) openChannel(path string) (Pipe, error) {
	if pl.findXen() == "" {
		return nil, ErrNone
	}
	t := ttys{store: pl.xenstore(), root: pl.Root, given: path, flush: console.Flush}
	p := &renewed{kind: ChannelKind, path: path, open: t.open}
	if path == "" {
		p.path = "channel:" + PortName
	}
	return p.start()
}

// ttys opens the channel's tty again and again: when the guest was restored, for it
// then has another backend, and should its driver hang it up.
type ttys struct {
	store *store
	root  string
	given string
	flush func(*os.File) error
	last  *tty
}

func (t *ttys) open() (opening, error) {
	link, err := t.store.use()
	if err != nil {
		return nil, err
	}
	s, err := t.with(link)
	if err != nil {
		link.leave()
		return nil, err
	}
	return s, nil
}

func (t *ttys) with(link *tie) (*tty, error) {
	path := t.given
	if path == "" {
		found, err := console.Find(link.Conn, PortName)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, ErrNone
		}
		if err != nil {
			return nil, err
		}
		path = t.root + found
	}
	dev, err := console.OpenRaw(path)
	if err != nil {
		return nil, err
	}
	if err := own(dev); err != nil {
		_ = dev.Close()
		return nil, errors.New(path + ": " + err.Error())
	}
	if t.last != nil && t.last.moot.Load() { // what lies in it may be from before the save
		err = t.flush(dev)
	}
	if err != nil {
		_ = dev.Close()
		return nil, err
	}
	in, err := newStream(dev, true)
	if err != nil {
		return nil, err
	}
	s := &tty{stream: in, link: link, again: t.last != nil}
	// Nobody writes that node: each signal is a resume.
	s.stop, err = link.follow("domid", func() bool { return false }, s.forsake)
	if err != nil {
		_ = s.close()
		return nil, err
	}
	t.last = s
	return s, nil
}

// tty is one opening of it.
type tty struct {
	*stream
	link *tie
	stop func()
	moot atomic.Bool // the guest was restored

	// It is not the first opening, and nothing has come yet. The kernel hangs a channel
	// up when its guest was restored: what comes first counts as a push, whether the
	// host saw that or was asked.
	again bool
}

// forsake ends receive.
func (s *tty) forsake() {
	s.moot.Store(true)
	_ = s.dev.SetReadDeadline(past)
}

func (s *tty) receive() (feed.Batch, error) {
	b, err := s.stream.receive()
	if s.moot.Load() { // what came may be from before the save
		return feed.Batch{}, io.EOF
	}
	if s.again && len(b.Data) > 0 {
		b.Pushed, s.again = true, false
	}
	return b, err
}

func (s *tty) end() {
	_ = s.close()
	s.stop()
	s.link.leave()
}
