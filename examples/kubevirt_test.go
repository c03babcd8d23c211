package examples

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"headgate/kvm/libvirt"
)

// sidecar runs hostd by the name and with the arguments that sidecar-shim does.
func sidecar(t *testing.T, xml string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "onDefineDomain")
	if err := os.Symlink(hostd, path); err != nil {
		t.Fatal(err)
	}
	return run(t, path, "--vmi", read(t, "testdata/vmi.json"), "--domain", xml)
}

func TestSidecar(t *testing.T) {
	before := read(t, "testdata/vmi-domain.xml")
	check := func(xml string) {
		t.Helper()
		d, err := libvirt.ParseDomain([]byte(xml))
		if err != nil || d.Name != "default_web1" || !slices.Equal(d.RNGs, []libvirt.RNG{wired("/run/headgate/guests/default_web1.sock")}) ||
			d.Policy == nil || d.Policy.Class != "gold" {
			t.Errorf("%+v, %v in\n%s", d, err, xml)
		}
		at := 0
		for line := range strings.Lines(before) {
			i := strings.Index(xml[at:], line)
			if i < 0 {
				t.Fatalf("%q is lost or moved in\n%s", line, xml)
			}
			at += i + len(line)
		}
	}
	first := sidecar(t, before)
	check(first)
	// KubeVirt keeps of a backend its model and its text, and no others' metadata.
	hollow := regexp.MustCompile(`(?s)<backend .*?</backend>`).ReplaceAllString(first, "<backend model=\"egd\">\n      \n    </backend>")
	hollow = regexp.MustCompile(`\s*<headgate:policy[^>]*>`).ReplaceAllString(hollow, "")
	if hollow == first {
		t.Fatal("nothing was lost")
	}
	check(sidecar(t, hollow))
}

// block gives the text below a key of YAML that ends with |.
func block(t *testing.T, text, key string) string {
	t.Helper()
	_, rest, found := strings.Cut(text, key+": |\n")
	if !found {
		t.Fatalf("there is no %s", key)
	}
	var b strings.Builder
	margin := strings.Repeat(" ", len(rest)-len(strings.TrimLeft(rest, " ")))
	for line := range strings.Lines(rest) {
		if strings.TrimSpace(line) != "" && !strings.HasPrefix(line, margin) {
			break
		}
		b.WriteString(strings.TrimPrefix(line, margin))
	}
	return b.String()
}

func TestManifests(t *testing.T) {
	config := filepath.Join(t.TempDir(), "hostd.toml")
	text := block(t, read(t, "kubevirt/hostd.yaml"), "hostd.toml")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, hostd, "check", "--config", config)

	_, folded, _ := strings.Cut(read(t, "kubevirt/vm.yaml"), "hooks.kubevirt.io/hookSidecars: >-\n")
	folded, _, _ = strings.Cut(folded, "headgate.io/class")
	var sidecars []struct {
		Args []string
		PVC  struct{ Name, VolumePath, SharedComputePath string }
	}
	if err := json.Unmarshal([]byte(folded), &sidecars); err != nil || len(sidecars) != 1 {
		t.Fatalf("%v: %+v", err, sidecars)
	}
	// hostd's folder on the node, the volume's, and the one that the sidecar writes
	// are one.
	pvc := sidecars[0].PVC
	socket := filepath.Join("/run/headgate/guests/default", "default_web1.sock")
	volume := read(t, "kubevirt/volume.yaml")
	for what, ok := range map[string]bool{
		"hostd's socket":       strings.Contains(text, `"qemu:`+socket+`"`),
		"the volume's folder":  strings.Contains(volume, "path: "+filepath.Dir(socket)+"\n"),
		"the claim's name":     strings.Contains(volume, "\n  name: "+pvc.Name+"\n"),
		"the folder for QEMU":  strings.Contains(sidecar(t, read(t, "testdata/vmi-domain.xml")), pvc.SharedComputePath+"/"+filepath.Base(socket)),
		"the claim's in there": pvc.VolumePath != "",
	} {
		if !ok {
			t.Errorf("%s does not fit the others", what)
		}
	}
	for _, name := range []string{"hostd", "volume", "vm"} {
		for i, doc := range strings.Split(read(t, "kubevirt/"+name+".yaml"), "\n---\n") {
			if !regexp.MustCompile(`(?m)^apiVersion: \S+\nkind: \S+\nmetadata:\n  name: \S+$`).MatchString(doc) || strings.Contains(doc, "\t") {
				t.Errorf("%s.yaml, document %d", name, i)
			}
		}
	}
}
