package meter

import (
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"headgate/integration/need"
)

// A meter in a process of its own shows what one in this process does, or says why it
// cannot in the same words.
func TestAttachedProcess(t *testing.T) {
	need.Root(t, "to attach to the kernel's functions")
	p, err := Start(os.Args[0], Command)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Attached(); err != nil {
		here, want := Attach(Options{})
		if want == nil {
			_ = here.Close()
			t.Fatalf("this process can attach, its own cannot: %v", err)
		}
		if err.Error() != want.Error() {
			t.Errorf("it says %q, want %q", err, want)
		}
		if os.Getenv("METER") == "must" {
			t.Fatal(err)
		}
		gone(t, p)
		return
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 5 {
				r, err := p.Read()
				if err != nil || len(r.Ways) != len(Ways()) || len(r.Notes) == 0 {
					t.Errorf("%+v, %v", r, err)
				}
			}
		})
	}
	all.Wait()
	if err := p.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	gone(t, p)
}

// gone sees that a process which has ended is said to have, and leaves nothing.
func gone(t *testing.T, p *Process) {
	t.Helper()
	if _, err := p.Read(); err == nil || !strings.Contains(err.Error(), "restart hostd") {
		t.Errorf("a read of one that has ended: %v", err)
	}
	p.Close()
	p.Close()
	if _, err := p.Read(); err == nil {
		t.Error("a read of a closed one")
	}
	if err := syscall.Kill(p.command.Process.Pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("it is still there: %v", err)
	}
}

// Closing the socket ends it, also in the middle of attaching; and whoever asks meanwhile
// is not kept.
func TestProcessIsClosed(t *testing.T) {
	p, err := Start(os.Args[0], Command)
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan error, 1)
	go func() {
		_ = p.Attached()
		_, err := p.Read()
		asked <- err
	}()
	begun := time.Now()
	p.Close()
	if err := <-asked; err == nil {
		t.Error("a read of a closed one")
	}
	t.Logf("closed within %v", time.Since(begun))
	gone(t, p)
}

// A program that is no meter.
func TestProcessIsAnotherProgram(t *testing.T) {
	p, err := Start("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Attached(); err == nil || !strings.Contains(err.Error(), "it has ended") {
		t.Errorf("of a program that says nothing: %v", err)
	}
	gone(t, p)
	if p, err := Start("/nonexistent/hostd", Command); err == nil {
		p.Close()
		t.Error("of one that is not there")
	}
}
