//go:build linux

package rig

import (
	"encoding/xml"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"headgate/integration/rig/job"
)

// DomainConfig is one domain of libvirt's.
type DomainConfig struct {
	Name, UUID string
	Image      *Image // what it boots; nil: nothing, which is enough to be started paused
	MemoryMiB  int    // 192 if not given, 16 of one that boots nothing
	Metadata   string // XML inside <metadata>
	Devices    string // XML inside <devices>
	Disk       string // qcow2 file of NewDisk's, which snapshots need; "": none
	Definition string // the whole XML, with Boot and Port in it; "": made of the rest
}

// console is the file that has the words of the guest's kernel: virtlogd writes it.
func (c DomainConfig) console() string { return filepath.Join(Private, c.UUID+".console") }

// port is the socket of the rig's own port.
func (c DomainConfig) port() string { return filepath.Join(Private, c.UUID+".rig") }

// Boot is the XML inside <os> that has the domain boot its image.
func (c DomainConfig) Boot() string {
	return fmt.Sprintf("<kernel>%s</kernel><initrd>%s</initrd><cmdline>%s</cmdline>",
		escape(c.Image.Kernel.Image), escape(c.Image.Initrd), escape(c.Image.cmdline()))
}

// Port is the XML inside <devices> of what the rig needs: its port and the console.
func (c DomainConfig) Port() string {
	return fmt.Sprintf(`
    <serial type='file'><source path='%s'/></serial>
    <channel type='unix'>
      <source mode='connect' path='%s'><reconnect enabled='yes' timeout='1'/></source>
      <target type='virtio' name='%s'/>
    </channel>`, escape(c.console()), escape(c.port()), job.PortName)
}

// XML is the domain as virsh define takes it. What it leaves out is libvirt's to
// fill in, as it is for a domain written by hand. Software emulation only, as
// in Config.
func (c DomainConfig) XML() string {
	if c.Definition != "" {
		return c.Definition
	}
	memory, boot, devices := c.MemoryMiB, "", c.Devices
	if c.Image != nil {
		boot = c.Boot()
		devices += c.Port()
	}
	if memory == 0 && c.Image == nil {
		memory = 16
	} else if memory == 0 {
		memory = 192
	}
	if c.Disk != "" {
		devices += fmt.Sprintf(`
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='%s'/><target dev='vda' bus='virtio'/>
    </disk>`, escape(c.Disk))
	}
	return fmt.Sprintf(`<domain type='qemu'>
  <name>%s</name>
  <uuid>%s</uuid>
  <metadata>%s</metadata>
  <memory unit='MiB'>%d</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type>%s</os>
  <features><acpi/></features>
  <cpu mode='maximum'/>
  <on_poweroff>destroy</on_poweroff>
  <devices>%s
  </devices>
</domain>
`, escape(c.Name), c.UUID, c.Metadata, memory, boot, devices)
}

// NewDisk makes a disk with nothing on it that can hold snapshots.
func NewDisk(file string) error {
	if text, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", file, "1M").CombinedOutput(); err != nil {
		return fmt.Errorf("make disk: %w: %s", err, text)
	}
	return nil
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder takes everything
	return b.String()
}
