//go:build linux

package integration

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"headgate/integration/rig"
)

// TestStop shows that SIGTERM ends hostd within 1 s and with exit code 0 while
// both pipes of a guest wait for bytes, that their connections end and their
// sockets are gone; and, before that, that the two pipes share one allowance.
func TestStop(t *testing.T) {
	const (
		rate, burst = 1024, 4096
		patience    = time.Second
	)
	ctx := rig.Within(t, time.Minute)
	dir := rig.Dir(t)
	qemu, strict := filepath.Join(dir, "two.qemu"), filepath.Join(dir, "two.egd")
	hostd := rig.Hostd(t, programs(t).Hostd, dir, rig.Sound+fmt.Sprintf(`
[[class]]
name = "slow"
rate = "1KiB/s"
burst = "4KiB"

[[guest]]
name = "two"
class = "slow"
pipes = ["qemu:%s", "egd:%s"]
`, qemu, strict))

	begun := time.Now()
	got := make(chan int, 2)
	for _, socket := range []string{qemu, strict} {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		// 64 requests of 255 bytes each (opcode 02): more than both will get.
		for range 64 {
			if _, err := conn.Write([]byte{2, 255}); err != nil {
				t.Fatal(err)
			}
		}
		go func() {
			n, err := io.Copy(io.Discard, conn)
			if err != nil && !errors.Is(err, net.ErrClosed) {
				t.Logf("%s: %v", socket, err)
			}
			got <- int(n)
		}()
	}
	rig.Pause(ctx, t, 2*time.Second)

	took, err := hostd.Terminate(5 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("hostd ended %s after SIGTERM", took.Round(time.Millisecond))
	if took > patience {
		t.Errorf("hostd ended %s after SIGTERM, want at most %s", took, patience)
	}
	sum := <-got + <-got
	allowed := burst + int(rate*time.Since(begun).Seconds()) + 64 // the push after accept may be an advance
	if sum > allowed || sum < burst {
		t.Errorf("the two pipes of one guest got %d bytes, want %d to %d", sum, burst, allowed)
	}
	for _, socket := range []string{qemu, strict, hostd.Control} {
		if _, err := os.Lstat(socket); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", socket, err)
		}
	}
}

// TestStopIsNotLost shows that SIGTERM ends hostd within 1 s also among reloads,
// and when nobody reads its log.
func TestStopIsNotLost(t *testing.T) {
	dir := rig.Dir(t)
	config := filepath.Join(dir, "hostd.toml")
	text := rig.Guard() + fmt.Sprintf("control = %q\nstate = %q\n[libvirt]\nfollow = false\n", filepath.Join(dir, "control.sock"), filepath.Join(dir, "state.json"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	log, unread, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	defer unread.Close()
	_ = unread.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := unread.Write(make([]byte, 1<<20)); err == nil {
		t.Fatalf("a pipe took %d bytes", n)
	}

	cmd := exec.Command(programs(t).Hostd, "serve", "--config", config)
	cmd.Stderr = unread
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	ctx := rig.Within(t, 20*time.Second)
	for {
		if conn, err := net.Dial("unix", filepath.Join(dir, "control.sock")); err == nil {
			conn.Close()
			break
		}
		rig.Pause(ctx, t, 10*time.Millisecond)
	}
	rig.Pause(ctx, t, 100*time.Millisecond)
	begun := time.Now()
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGHUP, syscall.SIGHUP, syscall.SIGTERM} {
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-ended:
		if took := time.Since(begun); err != nil || took > time.Second {
			t.Errorf("hostd ended %v after SIGTERM, %v", took, err)
		}
	case <-time.After(5 * time.Second):
		t.Error("hostd goes on 5 s after SIGTERM")
		_ = cmd.Process.Kill()
		t.Log(<-ended)
	}
}
