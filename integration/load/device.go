//go:build linux

package load

import (
	"context"
	"fmt"

	"headgate/kvm/vhost/vhosttest"
)

// device is a line to a vhost-user pipe at which the daemon listens: a guest's driver,
// with the rings and the memory that are a guest's otherwise.
type device struct {
	ctx   context.Context
	front *vhosttest.Front
}

// startDevice connects, and starts the ring as QEMU does.
func startDevice(ctx context.Context, path string) (line, error) {
	front, err := vhosttest.New(vhosttest.Options{Data: request, EventIdx: true})
	if err != nil {
		return nil, err
	}
	d := device{ctx, front}
	if err := front.Dial(ctx, path); err != nil {
		d.close()
		return nil, err
	}
	if err := front.Start(ctx); err != nil {
		d.close()
		return nil, fmt.Errorf("start the device at %s: %w", path, err)
	}
	return d, nil
}

// ask makes one buffer available and waits until it has been used.
func (d device) ask(n int) (int, error) {
	buf := make([]byte, min(n, request))
	return d.front.Read(d.ctx, buf)
}

func (d device) close() { d.front.Close() }
