//go:build linux

package rig

import (
	"fmt"
	"strings"
	"time"

	"headgate/integration/rig/job"
)

// QEMU is the emulator's program.
const QEMU = "qemu-system-x86_64"

// EntropyPort is the name of the virtio-serial port that hostd serves and
// guestd reads.
const EntropyPort = "org.headgate.entropy.0"

// Config is one guest.
type Config struct {
	Name  string // for logs, errors and QEMU's -name
	Image *Image
	Dir   string // for the log and the control socket; short, a socket's path has 107 bytes

	// RNG is the path of an EGD socket that a virtio-rng device draws from;
	// "builtin" means QEMU's own generator instead, "" no virtio-rng at all.
	RNG string
	// Port is the path of a socket behind a port named EntropyPort, or "".
	Port string
	// Output is a file that gets what is written to the port job.OutputName, or "".
	Output string
	// VMGenID is the GUID of a vmgenid device, or "auto"; "": no such device.
	VMGenID string
	Net     bool // a virtio-net card, on a network that ends there

	// VhostUser is the path of a socket at which QEMU waits for who is the device of a
	// vhost-user-rng, or "": the guest starts when that has connected. It needs Shared.
	VhostUser string
	Shared    bool     // the guest's memory is a memfd that others can map
	Extra     []string // further arguments of QEMU's

	// Counted is for times that are compared: 2 ns an instruction by the guest's clock
	// while it computes, however busy this machine is.
	Counted bool

	CPUs      int           // 1 if not given
	MemoryMiB int           // 256 if not given
	Limit     time.Duration // of the guest's whole life; 2 minutes if not given
}

// RNGBuiltin is the RNG of a guest that needs no host daemon.
const RNGBuiltin = "builtin"

// args returns QEMU's command line. Software emulation only: /dev/kvm may exist
// and yet be useless in a nested machine.
func (c Config) args(s sockets, console string) []string {
	memory := c.MemoryMiB
	if memory == 0 {
		memory = 256
	}
	args := []string{
		"-name", c.Name,
		"-cpu", "max", "-m", fmt.Sprint(memory), "-smp", fmt.Sprint(max(c.CPUs, 1)),
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-serial", "file:" + console,
		"-kernel", c.Image.Kernel.Image, "-initrd", c.Image.Initrd,
		"-append", c.Image.cmdline(),
		"-device", "virtio-serial-pci",
		"-chardev", socket("qmp", s.monitor), "-mon", "chardev=qmp,mode=control",
		"-chardev", socket("rig", s.control),
		"-device", "virtserialport,chardev=rig,name=" + job.PortName,
	}
	if c.Counted {
		args = append(args, "-accel", "tcg,thread=single", "-icount", "shift=1,sleep=on")
	} else {
		args = append(args, "-accel", "tcg,thread=multi")
	}
	switch c.RNG {
	case "":
	case RNGBuiltin:
		args = append(args, "-object", "rng-builtin,id=rng", "-device", "virtio-rng-pci,rng=rng")
	default:
		args = append(args,
			"-chardev", socket("egd", c.RNG)+",reconnect=1",
			"-object", "rng-egd,chardev=egd,id=rng",
			"-device", "virtio-rng-pci,rng=rng")
	}
	if c.Port != "" {
		args = append(args,
			"-chardev", socket("entropy", c.Port)+",reconnect=1",
			"-device", "virtserialport,chardev=entropy,name="+EntropyPort)
	}
	if c.Output != "" {
		args = append(args,
			"-chardev", "file,id=output,path="+option(c.Output),
			"-device", "virtserialport,chardev=output,name="+job.OutputName)
	}
	if c.Shared {
		args = append(args,
			"-object", fmt.Sprintf("memory-backend-memfd,id=memory,size=%dM,share=on", memory),
			"-machine", "memory-backend=memory")
	}
	if c.VhostUser != "" {
		// With wait=off the device would find nobody: QEMU accepts in its main loop, which
		// runs when all devices are there, and 7.2 aborts. It waits this first time alone.
		args = append(args,
			"-chardev", socket("vhost", c.VhostUser)+",server=on,wait=on",
			"-device", "vhost-user-rng-pci,chardev=vhost,vectors=2") // MSI-X, as virtio-rng-pci has by itself
	}
	if c.VMGenID != "" {
		args = append(args, "-device", "vmgenid,guid="+c.VMGenID)
	}
	if c.Net {
		args = append(args, "-netdev", "hubport,id=net,hubid=0", "-device", "virtio-net-pci,netdev=net,romfile=")
	}
	return append(args, c.Extra...)
}

func socket(id, path string) string { return "socket,id=" + id + ",path=" + option(path) }

// option is a value inside of QEMU's lists of options: a comma has to be doubled
// (qemu(1), -chardev).
func option(value string) string { return strings.ReplaceAll(value, ",", ",,") }
