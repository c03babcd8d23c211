package guard

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"
)

// Guard is the attached program, and the cgroup that it is attached to.
type Guard struct {
	own   *own
	slots *ebpf.Variable
	tries *ringbuf.Reader

	mu      sync.Mutex
	objects *programObjects // nil when closed
	link    link.Link
	last    Refused // what there was to count, when it was closed
}

// Attach puts the process in a cgroup of its own, or keeps the one that it is alone in,
// such as its service's, and has the kernel refuse every inet socket that is made there
// from then on. It takes CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, and once it is back none
// of them. An error says what the kernel or the user lacks; then nothing is left
// attached, and the process is where it was.
func Attach() (_ *Guard, err error) {
	own, err := prepare()
	if err != nil {
		return nil, err
	}
	g := &Guard{own: own}
	defer func() {
		if err != nil {
			// What is said is why there is no guard; what could not be undone is nothing to add.
			_ = g.Close()
		}
	}()
	if err := g.load(); err != nil {
		return nil, err
	}
	// Attached first and entered then: no moment in it without the program.
	if g.link, err = attach(own.folder, g.objects.RefuseInet); err != nil {
		return nil, err
	}
	if err := own.enter(); err != nil {
		return nil, err
	}
	if err := try(); err != nil {
		return nil, err
	}
	if err := g.objects.Armed.Set(uint32(1)); err != nil {
		return nil, fmt.Errorf("start to count: %w", err)
	}
	return g, nil
}

// load brings program and maps into the kernel.
func (g *Guard) load() error {
	var objects programObjects
	if err := loadProgramObjects(&objects, nil); err != nil {
		return refusal("load", err)
	}
	g.objects, g.slots = &objects, objects.Slots
	for slot := uint32(others); slot < uint32(len(slots{})); slot++ {
		if err := objects.FreeSlots.Put(nil, slot); err != nil {
			return refusal("fill", err)
		}
	}
	reader, err := ringbuf.NewReader(objects.Tries)
	if err != nil {
		return fmt.Errorf("read what the program tells: %w", err)
	}
	g.tries = reader
	return nil
}

// attach links the program to the cgroup in the folder. There is no other way beside
// the link: an attachment without one would stay when hostd is killed.
func attach(folder string, program *ebpf.Program) (link.Link, error) {
	cgroup, err := os.Open(folder)
	if err != nil {
		return nil, fmt.Errorf("attach to the cgroup: %w", err)
	}
	defer cgroup.Close()
	l, err := link.AttachRawLink(link.RawLinkOptions{
		Target:  int(cgroup.Fd()),
		Program: program,
		Attach:  ebpf.AttachCGroupInetSockCreate,
	})
	if err != nil {
		return nil, refusal("attach", err)
	}
	return l, nil
}

// try makes the sockets that there must not be. They are not counted yet. Whatever else
// refuses them, a seccomp filter or a kernel without IPv6, is as good.
func try() error {
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			continue
		}
		_ = unix.Close(fd)
		return fmt.Errorf("the program is attached, and %s yet makes an %s socket: the kernel does not run it, please report this", release(), familyName(uint32(family)))
	}
	return nil
}

// Cgroup is the path of the cgroup, as /proc/PID/cgroup writes it.
func (g *Guard) Cgroup() string { return g.own.path }

// Close detaches the program, goes back to the cgroup that the process came from, and
// removes its own. From then on Refused gives what it gave last, and Watch
// os.ErrClosed. It may be called more than once.
func (g *Guard) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	var errs []error
	if g.objects != nil {
		g.last = g.read()
	}
	if g.link != nil {
		errs = append(errs, g.link.Close())
		g.link = nil
	}
	if g.tries != nil {
		errs = append(errs, g.tries.Close())
	}
	if g.objects != nil {
		errs = append(errs, g.objects.Close())
		g.objects = nil
	}
	errs = append(errs, g.own.leave())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("network guard: %w", err)
	}
	return nil
}
