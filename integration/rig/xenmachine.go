//go:build linux

package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"headgate/integration/rig/job"
)

const (
	// xenPatience is how long dom0's init may take to answer; a boot takes 11 s on a
	// quiet machine.
	xenPatience = 60 * time.Second
	// dom0's init is asked each pulseEvery how it is. It answers within a second or two,
	// be this machine as busy as it will; after xenSilence the machine stands still.
	pulseEvery = 2 * time.Second
	xenSilence = 60 * time.Second
)

// xenMachine is one machine with Xen on it.
type xenMachine struct {
	hypervisor, kernel, initrd string // files, all unpacked
	boot                       []string
	control, output, monitor   string // sockets that QEMU connects to
	serial, console            string // the socket and the file of Xen's console
}

// log is the file of what QEMU itself says.
func (x xenMachine) log() string { return x.console + ".qemu" }

// dom0MemoryMiB is what dom0 has, of memoryMiB; domUs have the rest.
const (
	memoryMiB     = 2560
	dom0MemoryMiB = 1024
)

// args returns QEMU's command line. The processor is the one on which Xen, dom0
// and both kinds of domUs run under emulation: with SMAP dom0 crashes. Xen must
// switch the registers of SSE and AVX whenever it switches guests: as it would do
// it on this processor, at a guest's first use of them, the emulator lets guests
// see each other's.
func (x xenMachine) args() []string {
	dom0 := strings.Join([]string{
		x.kernel, "console=hvc0", "quiet", "panic=-1", "printk.devkmsg=on", "rdinit=/init", fastBoot,
		job.BootModules + "=" + strings.Join(x.boot, ","),
	}, " ")
	return []string{
		"-name", "xen",
		"-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max,-smap,-avx,-avx2",
		"-smp", "2", "-m", fmt.Sprint(memoryMiB),
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-chardev", socket("serial", x.serial) + ",server=on,wait=off,logfile=" + option(x.console), "-serial", "chardev:serial",
		"-chardev", socket("qmp", x.monitor), "-mon", "chardev=qmp,mode=control",
		"-kernel", x.hypervisor,
		"-append", fmt.Sprintf("console=com1 com1=115200,8n1 dom0_mem=%dM,max:%[1]dM dom0_max_vcpus=1 spec-ctrl=eager-fpu", dom0MemoryMiB),
		// Commas part the modules of a multiboot kernel.
		"-initrd", strings.ReplaceAll(dom0, ",", ",,") + "," + strings.ReplaceAll(x.initrd, ",", ",,"),
		"-device", "virtio-serial-pci",
		"-chardev", socket("rig", x.control),
		"-device", "virtserialport,chardev=rig,name=" + job.PortName,
		"-chardev", socket("output", x.output),
		"-device", "virtserialport,chardev=output,name=" + job.OutputName,
		"-object", "rng-builtin,id=rng", "-device", "virtio-rng-pci,rng=rng",
	}
}

// machine is a running Xen.
type machine struct {
	*Init
	x       xenMachine
	qemu    *process
	monitor *monitor
	pulse   pulse
	said    *said         // by the tests
	copied  chan struct{} // closed when all of it is out
}

// bootXen starts the machine and returns when dom0's init answers.
func bootXen(ctx context.Context, x xenMachine, limit time.Duration) (*machine, error) {
	var listeners []*net.UnixListener
	for _, path := range []string{x.control, x.output, x.monitor} {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			return nil, err
		}
		defer l.Close()
		listeners = append(listeners, l)
	}
	m := &machine{
		Init: &Init{Name: "dom0"}, x: x, pulse: pulse{every: pulseEvery, silence: xenSilence},
		said: &said{to: os.Stdout}, copied: make(chan struct{}),
	}
	var err error
	if m.qemu, err = startProcess(ctx, exec.Command(QEMU, x.args()...), x.log(), limit); err != nil {
		return nil, err
	}
	// QEMU connects to all of them before it does anything.
	var conns []net.Conn
	for _, l := range listeners {
		conn, err := accept(ctx, l, m.qemu.done, xenPatience)
		if err != nil {
			for _, c := range conns {
				c.Close()
			}
			m.qemu.kill()
			return nil, fmt.Errorf("boot Xen: %w; QEMU said:\n%s", err, Tail(x.log(), 10))
		}
		conns = append(conns, conn)
	}
	m.link, m.monitor = newLink(conns[0]), newMonitor(conns[2])
	go func() {
		defer close(m.copied)
		_, _ = io.Copy(m.said, conns[1])
		conns[1].Close()
	}()
	if err := hello(ctx, m.link, xenPatience); err != nil {
		err = fmt.Errorf("boot Xen: %w; QEMU said:\n%s", err, Tail(x.log(), 10))
		if ctx.Err() == nil && !errors.Is(err, errGone) {
			err = fmt.Errorf("%w: %w\n%s", errHung, err, m.account(ctx))
		}
		m.close()
		return nil, err
	}
	return m, nil
}

// run runs a program with its output on ours, for at most limit. A machine that stands
// still meanwhile is errHung.
func (m *machine) run(ctx context.Context, c job.Command, limit time.Duration) (job.Exit, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the tests did not end within %s, nor by their own limit", limit.Round(time.Second)))
	defer cancel()
	watched, hung := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		if err := m.pulse.watch(watched, m.link); err != nil {
			hung(err)
		}
	})
	c.Do, c.Output = job.Start, job.OutputName
	a, err := m.link.do(watched, c)
	if cause := context.Cause(watched); err != nil && cause != nil {
		err = cause
	}
	hung(nil)
	watching.Wait()
	if err != nil {
		return job.Exit{}, err
	}
	if a.Exit == nil {
		return job.Exit{}, errors.New("the init did not say how the tests ended")
	}
	return *a.Exit, nil
}

// account is what can be said of a machine that does not do what it should.
func (m *machine) account(ctx context.Context) string {
	text := m.pulse.String() + "\ndom0: " + m.inside(ctx) + "\n" + account(ctx, m.qemu, m.monitor)
	if err := askXen(ctx, m.x.serial); err != nil {
		text += fmt.Sprintf("ask Xen: %v\n", err)
	}
	return text + "Xen's console, asked how it is:\n" + Tail(m.x.console, 150)
}

// close ends the machine and waits until what the tests said has been copied.
func (m *machine) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = m.link.do(ctx, job.Command{Do: job.PowerOff})
	_ = m.qemu.wait(offPatience)
	m.qemu.kill()
	m.link.close()
	m.monitor.close()
	<-m.copied
}
