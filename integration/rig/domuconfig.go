//go:build linux

package rig

import (
	"fmt"
	"os"
	"strings"

	"headgate/integration/rig/job"
)

// DomUConfig is one guest of Xen.
type DomUConfig struct {
	Name string
	Type string // "pv" or "pvh"

	MemoryMiB int    // 128 if not given
	VCPUs     int    // 1 if not given
	Args      string // more for the kernel's command line
	Channel   string // the path of the socket of a channel named EntropyPort, or ""
	More      string // more lines of xl.cfg(5)
}

// text is the configuration as xl.cfg(5) has it.
func (c DomUConfig) text(uuid string) (string, error) {
	modules, err := os.ReadFile(domUModules)
	if err != nil {
		return "", err
	}
	lines := []string{
		fmt.Sprintf("name = %q", c.Name),
		fmt.Sprintf("type = %q", c.Type),
		fmt.Sprintf("uuid = %q", uuid),
		fmt.Sprintf("kernel = %q", domUKernel),
		fmt.Sprintf("ramdisk = %q", domUInitrd),
		fmt.Sprintf("extra = %q", commandLine(string(modules), c.Args)),
		fmt.Sprintf("memory = %d", orElse(c.MemoryMiB, 128)),
		fmt.Sprintf("vcpus = %d", orElse(c.VCPUs, 1)),
		`on_poweroff = "destroy"`, `on_reboot = "destroy"`, `on_crash = "destroy"`,
	}
	if c.Type == "pvh" {
		// Otherwise Xen wants a processor that scales the time stamp counter, which
		// the emulated one does not.
		lines = append(lines, `tsc_mode = "native"`)
	}
	if c.Channel != "" {
		// xl 4.17 drops the first.
		lines = append(lines, fmt.Sprintf(`channel = ["name=dummy,connection=pty", "name=%s,connection=socket,path=%s"]`, EntropyPort, c.Channel))
	}
	return strings.Join(append(lines, c.More), "\n") + "\n", nil
}

// fastBoot is what an emulated boot can do without: the tests of the kernel's
// ciphers, and setting its pages read-only one by one.
const fastBoot = "cryptomgr.notests rodata=off"

// noUARTs keeps a domU from looking for the serial ports of a PC, which it does not have:
// each look at one is a turn through an emulated Xen.
const noUARTs = "8250.nr_uarts=0"

// commandLine is a domU's kernel command line. Its console is the rig's link, so
// that the kernel says only there what ends it; what a test wants to know is in
// its log. Nothing is credited that the guest was not given by us.
func commandLine(modules, more string) string {
	return strings.TrimSpace(strings.Join([]string{
		"console=hvc0", "quiet", "loglevel=1", "panic=-1", "printk.devkmsg=on", "rdinit=/init",
		"random.trust_cpu=off", "random.trust_bootloader=off",
		fastBoot, noUARTs,
		job.PortDevice + "=hvc0", job.BootModules + "=" + modules, more,
	}, " "))
}

func orElse(n, standard int) int {
	if n == 0 {
		return standard
	}
	return n
}
