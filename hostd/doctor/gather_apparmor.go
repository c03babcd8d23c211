package doctor

import (
	"encoding/xml"
	"path/filepath"
	"regexp"
	"strings"
)

func (h Host) appArmor(unit string) AppArmor {
	a := AppArmor{Enabled: strings.HasPrefix(h.read("/sys/module/apparmor/parameters/enabled"), "Y")}
	if !a.Enabled {
		return a
	}
	a.Driver = h.read(policyDir+"/abstractions/libvirt-qemu") != "" && takesAppArmor(h.read("/etc/libvirt/qemu.conf"))
	a.Guests = h.policies(policyDir+"/abstractions/libvirt-qemu", policyDir+"/abstractions/libvirt-qemu.d", localGuests)
	if profile := "usr.sbin." + unit; h.read(policyDir+"/"+profile) != "" {
		a.Daemon = h.policies(policyDir+"/"+profile, policyDir+"/"+profile+".d", policyDir+"/local/"+profile)
	}
	return a
}

// policies reads those files, and the files of those folders.
func (h Host) policies(paths ...string) (found []Policy) {
	for _, path := range paths {
		below, _ := filepath.Glob(filepath.Join(h.path(path), "*"))
		for _, full := range append([]string{h.path(path)}, below...) {
			path := strings.TrimPrefix(full, h.Root)
			if text := h.read(path); text != "" {
				found = append(found, Policy{Path: path, Text: text})
			}
		}
	}
	return found
}

// drivers is what qemu.conf(5) has of security_driver: a text, or a list of them.
var drivers = regexp.MustCompile(`(?m)^[ \t]*security_driver[ \t]*=\s*(\[[^\]]*\]|["'][^"']*["'])`)

// takesAppArmor tells whether libvirt may take its driver for AppArmor. Where it is
// told nothing it takes the one that the kernel has.
func takesAppArmor(conf string) bool {
	told := drivers.FindAllStringSubmatch(conf, -1)
	return len(told) == 0 || strings.Contains(told[len(told)-1][1], "apparmor")
}

// confined tells whether a running domain's XML has AppArmor's label, which libvirt
// gives all where it has that driver.
func confined(text []byte) bool {
	var d struct {
		Labels []struct {
			Model string `xml:"model,attr"`
		} `xml:"seclabel"`
	}
	if err := xml.Unmarshal(text, &d); err != nil {
		return false
	}
	for _, l := range d.Labels {
		if l.Model == "apparmor" {
			return true
		}
	}
	return false
}
