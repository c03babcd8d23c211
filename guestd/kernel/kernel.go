//go:build linux

// Package kernel says what a kernel has of what guestd makes use of, and what it
// means where something is missing.
//
// It promises to look and no more: it opens no device, reads no file further than
// it says, and every missing thing is one line that a user of the guest can act on.
package kernel

import (
	"os"
	"path/filepath"
	"strings"
)

// Kernel is the running kernel, in the VM that it runs in.
type Kernel struct {
	Release string // as uname -r gives it
	Device  bool   // the VM has a vmgenid device
	Driver  bool   // the kernel's own driver has it, and reseeds when its GUID changes
	GUID    bool   // the GUID can be read from user space (QEMU's fw_cfg)
}

// GUIDPath is where the module qemu_fw_cfg shows the blob that has the GUID.
const GUIDPath = "/sys/firmware/qemu_fw_cfg/by_name/etc/vmgenid_guid/raw"

// Running looks at the running kernel. root stands before every path.
func Running(root string) (k Kernel) {
	release, _ := os.ReadFile(root + "/proc/sys/kernel/osrelease")
	k.Release = strings.TrimSpace(string(release))
	_, err := os.Stat(root + GUIDPath)
	k.GUID = err == nil
	k.Driver = Driver(root)
	k.Device = k.Driver || k.GUID || device(root+"/sys/bus/acpi/devices")
	return k
}

// Driver says whether the kernel's own driver has the generation ID: it is an ACPI
// driver since Linux 5.18, and a platform driver since 6.10 (drivers/virt/vmgenid.c).
func Driver(root string) bool {
	return bound(root+"/sys/bus/acpi/drivers/vmgenid") || bound(root+"/sys/bus/platform/drivers/vmgenid")
}

// bound says whether a driver has a device: among the driver's files each one is a
// link.
func bound(driver string) bool {
	files, _ := os.ReadDir(driver)
	for _, f := range files {
		if f.Type()&os.ModeSymlink != 0 && f.Name() != "module" {
			return true
		}
	}
	return false
}

// device says whether one of the ACPI devices is compatible with the device, by its
// second name in the specification or by the one that its example has; QEMU's own
// is QEMUVGID.
func device(devices string) bool {
	found, _ := filepath.Glob(devices + "/*/modalias")
	for _, path := range found {
		names, _ := os.ReadFile(path)
		if s := strings.ToUpper(string(names)); strings.Contains(s, ":VM_GEN_COUNTER:") || strings.Contains(s, ":VMGENCTR:") {
			return true
		}
	}
	return false
}

// Notes has a line for everything that is missing, which says what that means.
func (k Kernel) Notes() (notes []string) {
	switch {
	case !since(k.Release, 4, 17):
		notes = append(notes, "Linux before 4.17 has no RNDRESEEDCRNG: what is fed may be felt up to 5 minutes later")
	case !since(k.Release, 5, 18):
		// Before 5.12, and not in every stable kernel, RNDRESEEDCRNG took nothing from
		// the pool; until 5.18 it takes only what was credited, 128 bits at least.
		notes = append(notes, "Linux before 5.18 does not always reseed when it is told to: what is fed may be felt up to 5 minutes later")
	}
	switch {
	case k.Driver:
	case !k.Device:
		notes = append(notes, "no vmgenid device in this VM: a clone shows by the host's push, by its links and by its clock alone")
	case !k.GUID:
		notes = append(notes, "no vmgenid driver in this kernel, and the GUID is out of sight (modprobe qemu_fw_cfg): have the host push")
	default:
		notes = append(notes, "no vmgenid driver: guestd looks at the GUID once a second, and until then twins may be equal, unless the host pushes")
	}
	return notes
}
