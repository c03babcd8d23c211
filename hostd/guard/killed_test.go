package guard

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"headgate/integration/need"
)

// A process that is killed leaves nothing attached, and its folder goes with the next.
func TestKilled(t *testing.T) {
	if !outside(t) {
		g := attached(t)
		program, err := g.objects.RefuseInet.Info()
		if err != nil {
			t.Fatal(err)
		}
		id, _ := program.ID()
		attachment, err := g.link.Info()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("attached", id, attachment.ID)
		select {} // until it is killed
	}
	need.Root(t, "attaching to a cgroup takes CAP_BPF and CAP_NET_ADMIN")
	cmd := again(t.Context(), t.Name())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = cmd.Process.Kill(), cmd.Wait() }()
	var id, linkID uint32
	for lines := bufio.NewScanner(out); linkID == 0; {
		if !lines.Scan() {
			t.Fatal("it ended before it was attached")
		}
		_, _ = fmt.Sscanf(lines.Text(), "attached %d %d", &id, &linkID) // another line is none of it
	}
	if gone(t, id, linkID) {
		t.Fatalf("program %d and link %d are not in the kernel", id, linkID)
	}
	left := filepath.Join(mine(t), fmt.Sprint(prefix, cmd.Process.Pid))
	if _, err := os.Stat(left); err != nil {
		t.Fatal(err)
	}

	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	for end := time.Now().Add(time.Second); !gone(t, id, linkID); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("program %d or link %d is still in the kernel a second after its process", id, linkID)
		}
	}
	sweep(mine(t))
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", left, err)
	}
}

// gone says if the kernel has neither of the two.
func gone(t *testing.T, program, attachment uint32) bool {
	t.Helper()
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(program))
	if err == nil {
		_ = p.Close()
		return false
	}
	if !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	l, err := link.NewFromID(link.ID(attachment))
	if err == nil {
		_ = l.Close()
		return false
	}
	if !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return true
}
