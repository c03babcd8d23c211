//go:build linux

package rig

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"

	"headgate/integration/rig/job"
)

// TestLinkGoesOn shows that a lasting link goes on with another connection: a
// command sent before is answered over the new one, numbers go on, and without a
// connection there is an error and no waiting.
func TestLinkGoesOn(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c := newLastingLink()
	defer c.close()
	if _, err := c.send(ctx, job.Command{Do: job.Read}); !errors.Is(err, errDetached) {
		t.Fatalf("without a connection: %v", err)
	}
	first := newFakeInit(t, c)
	kept, err := c.send(ctx, job.Command{Do: job.Read})
	if err != nil {
		t.Fatal(err)
	}
	command := first.command(t)
	first.answer(t, job.Answer{ID: command.ID, Total: 1})
	if a, err := c.next(ctx, kept); err != nil || a.Total != 1 {
		t.Fatalf("%+v, %v", a, err)
	}

	second := newFakeInit(t, c) // the guest was saved: the new QEMU's init goes on
	second.answer(t, job.Answer{ID: command.ID, Total: 2})
	if a, err := c.next(ctx, kept); err != nil || a.Total != 2 {
		t.Fatalf("%+v, %v", a, err)
	}
	if err := first.conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if first.lines.Scan() {
		t.Error("the first connection is open still")
	}
	other, err := c.send(ctx, job.Command{Do: job.Heartbeat})
	if err != nil {
		t.Fatal(err)
	}
	if now := second.command(t); now.ID <= command.ID {
		t.Errorf("number %d after %d", now.ID, command.ID)
	}
	second.answer(t, job.Answer{ID: other.id, Last: true})
	if _, err := c.last(ctx, other); err != nil {
		t.Fatal(err)
	}
}

// fakeInit is the guest's end of a link.
type fakeInit struct {
	conn  net.Conn
	lines *bufio.Scanner
}

func newFakeInit(t *testing.T, c *link) fakeInit {
	t.Helper()
	// Sockets, which hold what nobody has read yet, as QEMU's does.
	listener, err := net.Listen("unix", filepath.Join(Dir(t), "port"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	guest, err := net.Dial("unix", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { guest.Close() })
	host, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.attach(host, func() {})
	return fakeInit{guest, bufio.NewScanner(guest)}
}

func (f fakeInit) command(t *testing.T) (c job.Command) {
	t.Helper()
	if !f.lines.Scan() {
		t.Fatal("no command came")
	}
	if err := json.Unmarshal(f.lines.Bytes(), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func (f fakeInit) answer(t *testing.T, a job.Answer) {
	t.Helper()
	line, err := json.Marshal(a)
	if err == nil {
		_, err = f.conn.Write(append(line, '\n'))
	}
	if err != nil {
		t.Fatal(err)
	}
}
