//go:build linux

package command

import (
	"errors"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"headgate/guestd/status"
)

func show(o *options, stdout io.Writer) error {
	r, raw, err := status.Read(o.status)
	if err != nil {
		return errors.New("no status: " + err.Error() + ": has guestd run?")
	}
	if !o.json {
		alive := unix.Kill(r.PID, 0)
		raw = r.Text(nil, alive == nil || errors.Is(alive, unix.EPERM), time.Now())
	}
	_, err = stdout.Write(raw)
	return err
}
