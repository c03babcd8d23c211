package kvm

import (
	"io"
	"net"
	"path/filepath"
	"testing"

	"headgate/wire/pipe/pipetest"
)

func TestAPortPipeKeepsTheContract(t *testing.T) {
	pipetest.Run(t, func(t *testing.T, o pipetest.Options) pipetest.Subject {
		path := filepath.Join(t.TempDir(), "guest.sock")
		p, err := Open(Options{
			Kind:   Port,
			Socket: Socket{Path: path, UID: -1, GID: -1},
			Tap:    o.Tap,
			Notify: o.Notify,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		return pipetest.Subject{Pipe: p, Dial: func(t *testing.T) io.ReadWriteCloser {
			conn, err := net.Dial("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			return conn
		}}
	})
}
