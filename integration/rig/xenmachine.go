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
	"time"

	"headgate/integration/rig/job"
)

// xenPatience is how long dom0's init may take to answer; a boot takes 11 s on a
// quiet machine.
const xenPatience = 90 * time.Second

// xenMachine is one machine with Xen on it.
type xenMachine struct {
	hypervisor, kernel, initrd string // files, all unpacked
	boot                       []string
	control, output, console   string // two sockets and a file
}

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
		"-serial", "file:" + x.console,
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
	qemu   *process
	copied chan struct{} // closed when all that the tests said is out
}

// bootXen starts the machine and returns when dom0's init answers.
func bootXen(ctx context.Context, x xenMachine, limit time.Duration) (*machine, error) {
	control, err := net.ListenUnix("unix", &net.UnixAddr{Name: x.control, Net: "unix"})
	if err != nil {
		return nil, err
	}
	defer control.Close()
	output, err := net.ListenUnix("unix", &net.UnixAddr{Name: x.output, Net: "unix"})
	if err != nil {
		return nil, err
	}
	m := &machine{Init: &Init{Name: "dom0"}, copied: make(chan struct{})}
	log := x.console + ".qemu"
	if m.qemu, err = startProcess(ctx, exec.Command(QEMU, x.args()...), log, limit); err != nil {
		output.Close()
		return nil, err
	}
	go func() {
		defer close(m.copied)
		defer output.Close()
		if conn, err := output.Accept(); err == nil {
			_, _ = io.Copy(os.Stdout, conn)
			conn.Close()
		}
	}()
	conn, err := accept(ctx, control, m.qemu.done, xenPatience)
	if err == nil {
		m.link = newLink(conn)
		if err = hello(ctx, m.link, xenPatience); err != nil {
			m.link.close()
		}
	}
	if err != nil {
		m.qemu.kill()
		output.Close()
		return nil, fmt.Errorf("boot Xen: %w; QEMU said:\n%s\nXen's console:\n%s", err, Tail(log, 10), Tail(x.console, 30))
	}
	return m, nil
}

// run runs a program with its output on ours.
func (m *machine) run(ctx context.Context, c job.Command) (job.Exit, error) {
	c.Do, c.Output = job.Start, job.OutputName
	a, err := m.ask(ctx, c)
	if err != nil {
		return job.Exit{}, err
	}
	if a.Exit == nil {
		return job.Exit{}, errors.New("the init did not say how the tests ended")
	}
	return *a.Exit, nil
}

// close ends the machine and waits until what the tests said has been copied.
func (m *machine) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = m.link.do(ctx, job.Command{Do: job.PowerOff})
	_ = m.qemu.wait(offPatience)
	m.qemu.kill()
	m.link.close()
	<-m.copied
}
