package probe

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"headgate/hostd/kernel"
	"headgate/integration/need"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// nothing is a collection of one program that does nothing.
func nothing() *ebpf.CollectionSpec {
	return &ebpf.CollectionSpec{Programs: map[string]*ebpf.ProgramSpec{
		"nothing": {Name: "nothing", License: "GPL", Instructions: asm.Instructions{
			asm.Mov.Imm(asm.R0, 0),
			asm.Return(),
		}},
	}}
}

func both(name string) Function {
	return Function{Name: name, Entry: "nothing", Return: "nothing", KEntry: "nothing", KReturn: "nothing"}
}

func open(t *testing.T, o Options) *Set {
	t.Helper()
	need.Root(t, "to load BPF programs")
	s, err := Open(nothing(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestNoFunction is the same by fentry, which has the kernel's types to ask, and by
// kprobes, which have the kernel.
func TestNoFunction(t *testing.T) {
	for _, o := range []Options{{}, {Kprobe: true}} {
		missing := kernelTypes
		if o.Kprobe {
			missing = kprobeEvents
		}
		_, err := open(t, o).Attach(both("no_such_function_here"), both("nor_this"))
		if _, lacks := os.Stat(missing); lacks != nil {
			if err == nil || !strings.Contains(err.Error(), "CONFIG_") {
				t.Errorf("%+v on a kernel that has none: %v", o, err)
			}
			continue
		}
		if !errors.Is(err, ErrNoFunction) || !strings.Contains(err.Error(), "no_such_function_here") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// TestAttach takes the first function that there is, and says why if it cannot: which is
// all that a kernel shows that is locked down (the tests of integration/meter have one
// that is not, and set METER=must there).
func TestAttach(t *testing.T) {
	for _, o := range []Options{{}, {Kprobe: true}} {
		s := open(t, o)
		p, err := s.Attach(both("no_such_function_here"), both("random_read_iter"), both("random_read"))
		if err != nil {
			if os.Getenv("METER") == "must" || errors.Is(err, ErrNoFunction) {
				t.Error(err)
			} else if words := err.Error(); !strings.Contains(words, "CONFIG_") && !strings.Contains(words, "forbids") {
				t.Errorf("no word to the user: %q", words)
			}
			continue
		}
		if p.Function == "no_such_function_here" || o.Kprobe && p.How != Kprobe || len(p.links) != 2 || p.Missed() != 0 {
			t.Errorf("%+v", p)
		}
		s.Done()
	}
}

func TestNoProgram(t *testing.T) {
	_, err := open(t, Options{}).Attach(Function{Name: "random_read_iter", Return: "a", KReturn: "b"})
	if err == nil || !strings.Contains(err.Error(), `"a"`) {
		t.Error(err)
	}
}

func TestWords(t *testing.T) {
	for errno, say := range map[syscall.Errno]string{
		syscall.ENOSYS: "CONFIG_BPF_SYSCALL",
		syscall.EBUSY:  "something else",
		syscall.EPERM:  "operation not permitted",
		syscall.EINVAL: "load: invalid",
	} {
		err := words(fmt.Errorf("load: %w", errno))
		if !errors.Is(err, errno) || !strings.Contains(err.Error(), say) {
			t.Errorf("%q does not say %q", err, say)
		}
	}
}

func TestCapable(t *testing.T) {
	for _, c := range []struct {
		held []uint
		want bool
	}{
		{nil, false}, {[]uint{unix.CAP_BPF}, false}, {[]uint{unix.CAP_PERFMON}, false},
		{[]uint{unix.CAP_BPF, unix.CAP_PERFMON}, true}, {[]uint{unix.CAP_SYS_ADMIN}, true},
	} {
		var held kernel.Capabilities
		for _, capability := range c.held {
			held[capability/32].Effective |= 1 << (capability % 32)
		}
		if got := capable(held); got != c.want {
			t.Errorf("%v: %v", c.held, got)
		}
	}
}
