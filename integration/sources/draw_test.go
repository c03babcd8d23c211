//go:build linux

package sources

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"

	"headgate/integration/rig"
	"headgate/wire/egd"
)

// open is a class whose guests get whatever there is.
const open = `
[[class]]
name = "open"
rate = "unlimited"
`

// guest is a [[guest]] of that class with an EGD pipe.
func guest(name, class, dir string) (text, socket string) {
	socket = filepath.Join(dir, name+".egd")
	return fmt.Sprintf("\n[[guest]]\nname = %q\nclass = %q\npipes = [%q]\n", name, class, "egd:"+socket), socket
}

// request is what such a guest asks for at once, in bytes.
const request = 64

// drawn is a guest that asks as soon as it has been answered.
type drawn struct {
	bytes atomic.Uint64
}

// draw has a guest draw until the test ends. What it gets is added to seen, unless
// that is nil.
func draw(ctx context.Context, t *testing.T, socket string, seen *rig.Blocks) *drawn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	d, done := new(drawn), make(chan error, 1)
	go func() {
		client, stream, buf := egd.NewClient(conn), seen.Stream(socket), make([]byte, request)
		for {
			n, err := client.Read(buf)
			stream.Add(buf[:n])
			d.bytes.Add(uint64(n))
			if err != nil {
				done <- err
				return
			}
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.EOF) {
			t.Errorf("guest at %s: %v", socket, err)
		}
	})
	return d
}

// take copies n bytes of a guest to w, in reads of many requests each.
func take(ctx context.Context, socket string, n int, w io.Writer) error {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	client, buf := egd.NewClient(conn), make([]byte, 16*egd.MaxData)
	for n > 0 {
		p := buf[:min(n, len(buf))]
		if _, err := client.Read(p); err != nil {
			return fmt.Errorf("take from %s with %d bytes to go: %w", socket, n, err)
		}
		if _, err := w.Write(p); err != nil {
			return err
		}
		n -= len(p)
	}
	return nil
}
