//go:build linux

package rig

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"headgate/integration/rig/job"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestGuest boots a guest on a trivial EGD server and tries every command.
func TestGuest(t *testing.T) {
	Need(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	dir, begun := Dir(t), time.Now()
	image, err := NewImage(ctx, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("image after %s", time.Since(begun))
	egd := filepath.Join(dir, "egd")
	serveCounter(t, egd)
	g := BootGuest(t, Config{Name: "probe", Image: image, Dir: dir, RNG: egd})
	t.Logf("booted in %s", g.Booted)

	ready, err := g.KernelLog(ctx, job.CRNGReady)
	if err != nil || len(ready) != 0 {
		t.Fatalf("the generator of a guest that nobody seeded: %v, %v", ready, err)
	}
	if err := g.Insmod(ctx, ModuleRNG); err != nil {
		t.Fatal(err)
	}
	record, err := g.AwaitLog(ctx, job.CRNGReady, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("ready at %s", record.At)

	reader, err := g.Read(ctx, Reading{Path: "/dev/hwrng", Keep: true})
	if err != nil {
		t.Fatal(err)
	}
	var stream []byte
	for len(stream) < 4096 {
		p, err := reader.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		stream = append(stream, p.Data...)
		if p.Total != int64(len(stream)) {
			t.Fatalf("%d bytes came of %d", len(stream), p.Total)
		}
	}
	if err := reader.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if err := g.Insmod(ctx, "absent"); err == nil {
		t.Error("a module that is not there was inserted")
	}
	exit, err := g.Run(ctx, time.Second, "/init")
	if err != nil || exit.Code == 0 {
		t.Errorf("a second init: %+v, %v", exit, err)
	}
	stopsWhatHasEnded(ctx, t, g, exit)
	beat, err := g.Heartbeat(ctx)
	if err != nil || beat.Beats == 0 || beat.Late > 0 {
		t.Errorf("heartbeat: %+v, %v", beat, err)
	}
	standsStill(ctx, t, g)
	if err := g.PowerOff(ctx); err != nil {
		t.Error(err)
	}
}

// stopsWhatHasEnded sees that a program which has ended by itself is told as it ended.
func stopsWhatHasEnded(ctx context.Context, t *testing.T, g *Guest, like job.Exit) {
	p, err := g.Start(ctx, "/init")
	if err != nil {
		t.Fatal(err)
	}
	for err == nil && ctx.Err() == nil {
		_, err = p.Memory(ctx)
	}
	if exit, err := p.Stop(ctx); err != nil || exit.Code != like.Code {
		t.Errorf("stopped after it had ended: %+v, %v, want %+v", exit, err, like)
	}
}

// standsStill stops the guest's emulator, and sees that this is noticed and told.
func standsStill(ctx context.Context, t *testing.T, g *Guest) {
	if text := account(ctx, g.qemu, g.monitor); strings.Count(text, "CPU#0") != 2 || !strings.Contains(text, "RIP=") {
		t.Errorf("of a guest that runs one can say:\n%s", text)
	}
	p := pulse{every: 10 * time.Millisecond, silence: time.Second}
	late := time.AfterFunc(500*time.Millisecond, func() { g.qemu.signal(syscall.SIGSTOP) })
	defer late.Stop()
	err := p.watch(ctx, g.link)
	if !errors.Is(err, errHung) || p.answered < 2 || p.rate() < 0.9 || p.rate() > 1.1 {
		t.Errorf("of a guest that stands still one can say: %v: %s", err, &p)
	}
	if text := account(ctx, g.qemu, g.monitor); !strings.Contains(text, ": T, 0 ticks") || !strings.Contains(text, "monitor: ") {
		t.Errorf("of its emulator one can say:\n%s", text)
	}
	g.qemu.signal(syscall.SIGCONT)
}

// serveCounter is an EGD server that answers 0x02 with anything.
func serveCounter(t *testing.T, path string) {
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { listener.Close(); <-done })
	go func() {
		defer close(done)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		request := make([]byte, 2)
		for {
			if _, err := io.ReadFull(conn, request); err != nil {
				return
			}
			answer := make([]byte, 256)
			for i := 0; i < len(answer); i += 8 {
				binary.LittleEndian.PutUint64(answer[i:], rand.Uint64())
			}
			if _, err := conn.Write(answer[:request[1]]); err != nil {
				return
			}
		}
	}()
}
