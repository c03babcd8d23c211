//go:build linux

package integration

import (
	"context"
	"net"
	"testing"
	"time"

	"headgate/integration/rig"
	"headgate/wire/egd"
)

// drain reads from an egd: pipe without pause, coming back when hostd does,
// until the test ends.
func drain(ctx context.Context, t *testing.T, socket string, seen *rig.Blocks) {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		stream := seen.Stream("egd")
		for ctx.Err() == nil {
			if !drainOnce(ctx, socket, stream) {
				_ = rig.Sleep(ctx, 50*time.Millisecond)
			}
		}
	}()
}

func drainOnce(ctx context.Context, socket string, stream *rig.Stream) (connected bool) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return false
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	client := egd.NewClient(conn)
	buf := make([]byte, 64)
	for {
		n, err := client.Read(buf)
		stream.Add(buf[:n])
		if err != nil {
			return true
		}
	}
}
