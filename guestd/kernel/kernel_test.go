//go:build linux

package kernel

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// root makes a root with these files; what has no text is a link to nothing.
func root(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for path, text := range files {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		err := os.WriteFile(path, []byte(text), 0o600)
		if text == "" {
			_ = os.Remove(path)
			err = os.Symlink("../../../../devices/x", path)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// What Debian's kernels show in QEMU with -device vmgenid and without it.
func TestRunning(t *testing.T) {
	const (
		osrelease = "proc/sys/kernel/osrelease"
		acpi      = "sys/bus/acpi/"
		platform  = "sys/bus/platform/drivers/vmgenid/"
		alias     = acpi + "devices/QEMUVGID:00/modalias"
		other     = acpi + "devices/LNXCPU:00/modalias"
		names     = "acpi:QEMUVGID:VM_GEN_COUNTER:\n"
	)
	for name, c := range map[string]struct {
		files map[string]string
		want  Kernel
		notes string // what the notes say, one word or two each
	}{
		"generic": {
			map[string]string{osrelease: "6.1.0-56-amd64\n", alias: names, acpi + "drivers/vmgenid/QEMUVGID:00": "", acpi + "drivers/vmgenid/bind": "x"},
			Kernel{Release: "6.1.0-56-amd64", Device: true, Driver: true}, "",
		},
		"generic, no device": {
			map[string]string{osrelease: "6.1.0-56-amd64\n", other: "acpi:LNXCPU:\n", acpi + "drivers/vmgenid/bind": "x", acpi + "drivers/vmgenid/module": ""},
			Kernel{Release: "6.1.0-56-amd64"}, "no vmgenid device",
		},
		"cloud": {
			map[string]string{osrelease: "6.1.0-56-cloud-amd64\n", alias: names, GUIDPath: "x"},
			Kernel{Release: "6.1.0-56-cloud-amd64", Device: true, GUID: true}, "once a second",
		},
		"cloud without fw_cfg": {
			map[string]string{osrelease: "6.1.0-56-cloud-amd64\n", alias: names},
			Kernel{Release: "6.1.0-56-cloud-amd64", Device: true}, "modprobe qemu_fw_cfg",
		},
		"a platform driver": {
			map[string]string{osrelease: "6.12.9\n", platform + "QEMUVGID:00": "", platform + "unbind": "x"},
			Kernel{Release: "6.12.9", Device: true, Driver: true}, "",
		},
		"Hyper-V's name": {
			map[string]string{osrelease: "5.15.0-91-generic\n", acpi + "devices/MSFT0002:00/modalias": "acpi:HYPER_V_GEN_COUNTER_V1:VM_GEN_COUNTER:\n"},
			Kernel{Release: "5.15.0-91-generic", Device: true}, "before 5.18; modprobe",
		},
		"old": {map[string]string{osrelease: "3.10.0-1160.el7.x86_64"}, Kernel{Release: "3.10.0-1160.el7.x86_64"}, "before 4.17; no vmgenid device"},
	} {
		k := Running(root(t, c.files))
		if k != c.want {
			t.Errorf("%s: %+v, want %+v", name, k, c.want)
		}
		notes, words := k.Notes(), strings.Split(c.notes, "; ")
		if c.notes == "" {
			words = nil
		}
		if len(notes) != len(words) {
			t.Errorf("%s: notes %q", name, notes)
			continue
		}
		for i, word := range words {
			if !strings.Contains(notes[i], word) || strings.Contains(notes[i], ";") {
				t.Errorf("%s: note %q, want %q in it", name, notes[i], word)
			}
		}
	}
}

func TestTested(t *testing.T) {
	for release, want := range map[string]string{
		"6.1.0-56-amd64": "Debian 12, generic", "6.1.0-9-cloud-amd64": "Debian 12, cloud",
		"": "", "6.1.0": "", "6.1.0-": "", "6.1.0-56": "", "6.1.0-56-arm64": "", "6.1.0-56-rt-amd64": "", "6.1.0-x-amd64": "",
		"6.12.0-56-amd64": "", "6.1.10-56-amd64": "", "6.1.0--amd64": "", "6.1.0-cloud-amd64": "",
	} {
		if got := Tested(release); got != want {
			t.Errorf("%q: %q, want %q", release, got, want)
		}
	}
}

func TestSince(t *testing.T) {
	for release, want := range map[string]bool{
		"5.18": true, "5.18.0": true, "5.18-rc1": true, "5.19.17-2": true, "6.0": true, "10.1": true, "": true, "x.y": true, "6": true,
		"5.17.15": false, "5.4.0-150-generic": false, "4.19.0": false, "3.20": false, "5.2": false,
	} {
		if got := since(release, 5, 18); got != want {
			t.Errorf("%q: %v", release, got)
		}
	}
}

func TestReadConfig(t *testing.T) {
	all := "# x\nCONFIG_VMGENID=y\nCONFIG_FW_CFG_SYSFS=m\nCONFIG_HW_RANDOM_VIRTIO=m\nCONFIG_VIRTIO_CONSOLE=m\nCONFIG_XEN_GRANT_DEV_ALLOC=m\nCONFIG_XEN_DEV_EVTCHN=m\n"
	if c := ReadConfig(strings.NewReader(all)); len(c.Notes()) != 0 || c.Has() != "vmgenid, virtio-rng, virtio-serial, Xen's rings" {
		t.Errorf("%+v: has %q, notes %q", c, c.Has(), c.Notes())
	}
	for option, word := range map[string]string{
		"CONFIG_VMGENID": "once a second", "CONFIG_HW_RANDOM_VIRTIO": "virtio-rng", "CONFIG_VIRTIO_CONSOLE": "cannot push",
		"CONFIG_XEN_GRANT_DEV_ALLOC": "xl channel", "CONFIG_XEN_DEV_EVTCHN": "xl channel",
	} {
		for _, text := range []string{strings.Replace(all, option+"=", "# "+option+" is not set ", 1), strings.Replace(all, option+"=", option+"=no", 1)} {
			notes := ReadConfig(strings.NewReader(text)).Notes()
			if len(notes) != 1 || !strings.Contains(notes[0], word) {
				t.Errorf("without %s: %q", option, notes)
			}
		}
	}
	if notes := ReadConfig(strings.NewReader("")).Notes(); len(notes) != 4 || !strings.Contains(notes[0], "only the host's push") {
		t.Errorf("of nothing: %q", notes)
	}
	if c := ReadConfig(strings.NewReader(strings.Repeat("x", 100<<10) + "\n" + all)); c != (Config{}) {
		t.Errorf("after a line without end: %+v", c)
	}
}

// Debian's kernels, where they are installed, are what the table of tested ones says.
func TestDebian(t *testing.T) {
	found, _ := filepath.Glob("/boot/config-6.1.0-*-amd64")
	for _, path := range found {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		c := ReadConfig(f)
		_ = f.Close()
		tested := Tested(strings.TrimPrefix(path, "/boot/config-"))
		if want := (Config{VMGenID: tested == "Debian 12, generic", FWCfg: true, RNG: true, Port: true, Ring: true}); c != want {
			t.Errorf("%s, %q: %+v", path, tested, c)
		}
	}
}

// endless is a file that does not end.
type endless struct{ read int }

func (e *endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = "CONFIG_A=y\n"[(e.read+i)%11]
	}
	e.read += len(b)
	return len(b), nil
}

func TestConfigIsBounded(t *testing.T) {
	var e endless
	ReadConfig(&e)
	if e.read > maxConfig {
		t.Errorf("read %d bytes", e.read)
	}
}

func FuzzReadConfig(f *testing.F) {
	f.Add("CONFIG_VMGENID=y\n# CONFIG_VIRTIO_CONSOLE is not set\n")
	f.Add("CONFIG_XEN_GRANT_DEV_ALLOC=m\r\nCONFIG_XEN_DEV_EVTCHN=m")
	f.Fuzz(func(t *testing.T, text string) {
		c := ReadConfig(io.MultiReader(strings.NewReader(text)))
		if c.VMGenID && !strings.Contains(text, "CONFIG_VMGENID=") || c.Ring && !strings.Contains(text, "CONFIG_XEN_DEV_EVTCHN=") {
			t.Errorf("%q: %+v", text, c)
		}
		if has := c.Has(); (has == "") != (c == Config{} || c == Config{FWCfg: true}) {
			t.Errorf("%+v has %q", c, has)
		}
	})
}
