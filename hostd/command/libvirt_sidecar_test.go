package command

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"headgate/hostd/config"
	"headgate/kvm/libvirt"
)

// vmiDomain is a domain's XML as virt-launcher writes it: from Go structures, in
// which an rng's backend is its model and its text.
func vmiDomain(rng string) string {
	return "<domain type=\"kvm\" xmlns:qemu=\"http://libvirt.org/schemas/domain/qemu/1.0\">\n" +
		"\t<name>default_web1</name>\n\t<memory unit=\"b\">1073741824</memory>\n" +
		"\t<os>\n\t\t<type arch=\"x86_64\" machine=\"q35\">hvm</type>\n\t\t<smbios mode=\"sysinfo\"></smbios>\n\t</os>\n" +
		"\t<devices>\n\t\t<channel type=\"unix\">\n\t\t\t<target name=\"org.qemu.guest_agent.0\" type=\"virtio\"></target>\n\t\t</channel>\n" +
		rng + "\t</devices>\n" +
		"\t<metadata>\n\t\t<kubevirt xmlns=\"http://kubevirt.io\">\n\t\t\t<uid></uid>\n\t\t</kubevirt>\n\t</metadata>\n" +
		"\t<vcpu placement=\"static\">1</vcpu>\n</domain>"
}

const annotatedVMI = `{"metadata":{"name":"web1","namespace":"default","annotations":{"headgate.io/class":"gold","headgate.io/rate":"2KiB/s","headgate.io/weight":"2"}}}`

var backendText = regexp.MustCompile(`(?s)<backend model=['"](\w+)['"][^>]*>.*?</backend>`)

// asKubeVirt loses of the hook's answer what virt-launcher loses of it.
func asKubeVirt(xml string) string {
	xml = backendText.ReplaceAllString(xml, "<backend model=\"$1\">\n      \n    </backend>")
	xml = regexp.MustCompile(`\s*<headgate:policy[^>]*>`).ReplaceAllString(xml, "")
	return strings.Replace(xml, "<rng model='virtio'>", `<rng model="virtio"><address type="pci" domain="0x0000" bus="0x0a" slot="0x00" function="0x0"></address>`, 1)
}

func sidecarRig(t *testing.T) *rig {
	r := newRig(t)
	r.In = strings.NewReader("")
	return r
}

func TestSidecar(t *testing.T) {
	r := sidecarRig(t)
	code, out, errs := r.run(t, "libvirt", "sidecar", "--vmi", annotatedVMI, "--domain", vmiDomain(""))
	if code != 0 || errs != "" {
		t.Fatalf("exit %d: %s", code, errs)
	}
	checkWired(t, out)
	for _, kept := range strings.Split(vmiDomain(""), "\n") {
		if !strings.Contains(out, kept) {
			t.Errorf("%q is lost in\n%s", kept, out)
		}
	}
	r.In = strings.NewReader(vmiDomain(""))
	if _, again, _ := r.run(t, "libvirt", "sidecar", "--vmi", annotatedVMI); again != out {
		t.Errorf("from stdin:\n%s\nfrom --domain:\n%s", again, out)
	}
	if _, again, _ := r.run(t, "libvirt", "sidecar", "--vmi", annotatedVMI, "--domain", out); again != out {
		t.Errorf("its own answer is not left alone:\n%s", again)
	}
}

func checkWired(t *testing.T, xml string) {
	t.Helper()
	d, err := libvirt.ParseDomain([]byte(xml))
	if err != nil {
		t.Fatalf("%v in\n%s", err, xml)
	}
	if len(d.RNGs) != 1 || d.RNGs[0] != (libvirt.RNG{Backend: "egd", Type: "unix", Mode: "connect",
		Path: "/run/headgate/guests/default_web1.sock", Reconnect: 1}) {
		t.Errorf("rng devices %+v in\n%s", d.RNGs, xml)
	}
	if d.Policy == nil || fmt.Sprint(*d.Policy) != "{gold 2KiB/s 2  []}" {
		t.Errorf("policy %+v in\n%s", d.Policy, xml)
	}
}

// virt-launcher gives the hook its own answer back with the socket lost.
func TestSidecarMendsWhatKubeVirtLeftOfItsAnswer(t *testing.T) {
	r := sidecarRig(t)
	_, out, _ := r.run(t, "libvirt", "sidecar", "--vmi", annotatedVMI, "--domain", vmiDomain(""))
	hollow := asKubeVirt(out)
	if strings.Contains(hollow, "/run/headgate") || strings.Contains(hollow, "policy") {
		t.Fatalf("the test is wrong:\n%s", hollow)
	}
	code, mended, errs := r.run(t, "libvirt", "sidecar", "--vmi", annotatedVMI, "--domain", hollow)
	if code != 0 {
		t.Fatal(errs)
	}
	checkWired(t, mended)
	if !strings.Contains(mended, `bus="0x0a"`) {
		t.Errorf("the device lost its address:\n%s", mended)
	}
}

func TestSidecarLeavesOthersAlone(t *testing.T) {
	r := sidecarRig(t)
	for name, rng := range map[string]string{
		"random": "<rng model=\"virtio\"><backend model=\"random\">/dev/urandom</backend></rng>\n",
		"tcp":    "<rng model=\"virtio\"><backend model=\"egd\" type=\"tcp\"><source mode=\"connect\" host=\"h\" service=\"1\"></source><protocol type=\"raw\"></protocol></backend></rng>\n",
		"file":   "<rng model=\"virtio\"><backend model=\"egd\" type=\"file\"><source path=\"/x\"></source></backend></rng>\n",
	} {
		code, out, errs := r.run(t, "libvirt", "sidecar", "--domain", vmiDomain(rng))
		if code != 0 || !strings.Contains(out, strings.TrimSpace(rng)) {
			t.Errorf("%s: exit %d: %s%s", name, code, errs, out)
			continue
		}
		d, err := libvirt.ParseDomain([]byte(out))
		if err != nil || len(d.RNGs) != 2 || d.RNGs[0].Type != "unix" || d.Policy != nil {
			t.Errorf("%s: %+v, %v: the guest's kernel uses the first", name, d, err)
		}
	}
}

func TestSidecarNamesTheGuest(t *testing.T) {
	r := sidecarRig(t)
	long := strings.Replace(vmiDomain(""), "default_web1", strings.Repeat("n", 63)+"_web1", 1)
	code, out, errs := r.run(t, "libvirt", "sidecar", "--domain", long)
	if code != 1 || out != "" || !strings.Contains(errs, annotationGuest) {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
	code, out, _ = r.run(t, "libvirt", "sidecar", "--domain", long, "--guests", "/srv/g",
		"--vmi", `{"metadata":{"annotations":{"headgate.io/guest":"web1"}}}`)
	if code != 0 || !strings.Contains(out, "'/srv/g/web1.sock'") {
		t.Errorf("exit %d: %s", code, out)
	}
	code, _, _ = r.run(t, "libvirt", "sidecar", "--domain", long, "--vmi", `{"metadata":{"annotations":{"headgate.io/guest":"../web1"}}}`)
	if code != 1 {
		t.Error("a name that leaves the folder")
	}
}

// A wrong answer makes a wrong domain; none makes the shim report the error.
func TestSidecarGivesAllOrNothing(t *testing.T) {
	r := sidecarRig(t)
	for name, args := range map[string][]string{
		"nothing":     {"--domain", ""},
		"not XML":     {"--domain", "{}"},
		"half":        {"--domain", vmiDomain("")[:200]},
		"network":     {"--domain", "<network/>"},
		"two":         {"--domain", vmiDomain("") + vmiDomain("")},
		"not JSON":    {"--domain", vmiDomain(""), "--vmi", "<vmi/>"},
		"long JSON":   {"--domain", vmiDomain(""), "--vmi", `"` + strings.Repeat("x", maxVMI) + `"`},
		"long XML":    {"--domain", "<domain>" + strings.Repeat(" ", libvirt.MaxXML)},
		"long folder": {"--domain", vmiDomain(""), "--guests", "/" + strings.Repeat("x", 100)},
		"no folder":   {"--domain", vmiDomain(""), "--guests", ""},
		"bad rate":    {"--domain", vmiDomain(""), "--vmi", `{"metadata":{"annotations":{"headgate.io/rate":"\u0001"}}}`},
	} {
		code, out, errs := r.run(t, append([]string{"libvirt", "sidecar"}, args...)...)
		if code != 1 || out != "" || strings.Count(errs, "\n") != 1 || len(errs) > 1000 {
			t.Errorf("%s: exit %d, %q, %.1000q", name, code, out, errs)
		}
	}
	r.In = broken{}
	if code, out, _ := r.run(t, "libvirt", "sidecar"); code != 1 || out != "" {
		t.Errorf("stdin that breaks: exit %d, %q", code, out)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("broken") }

func TestArgs(t *testing.T) {
	for want, line := range map[string][]string{
		"[]":                                nil,
		"[status]":                          {"/usr/local/sbin/hostd", "status"},
		"[libvirt sidecar --vmi v]":         {"/usr/bin/onDefineDomain", "--vmi", "v"},
		"[libvirt sidecar --domain <dom/>]": {"onDefineDomain", "--domain", "<dom/>"},
	} {
		if got := fmt.Sprint(Args(line)); got != want {
			t.Errorf("%q: %s, want %s", line, got, want)
		}
	}
}

func FuzzSidecar(f *testing.F) {
	f.Add(vmiDomain(""), annotatedVMI)
	f.Add(vmiDomain("<rng model=\"virtio\"><backend model=\"egd\">\n</backend></rng>"), "{}")
	f.Add(vmiDomain("<rng><backend model='egd'/></rng>"), "")
	if text, err := os.ReadFile("../../examples/libvirt/domain.xml"); err == nil {
		f.Add(string(text), annotatedVMI)
	}
	sockets := config.Default().Libvirt
	f.Fuzz(func(t *testing.T, xml, vmi string) {
		out, err := sidecar([]byte(xml), []byte(vmi), sockets)
		if err != nil {
			if out != nil {
				t.Fatalf("an error and %q", out)
			}
			return
		}
		d, err := libvirt.ParseDomain(out)
		if err != nil {
			t.Fatalf("%v in %q", err, out)
		}
		n := 0
		for _, r := range d.RNGs {
			if r.Backend == "egd" && r.Type == "unix" && strings.HasPrefix(r.Path, sockets.Guests+"/") {
				n++
			}
		}
		if n == 0 {
			t.Fatalf("no rng device of hostd's in %q", out)
		}
		again, err := sidecar(out, []byte(vmi), sockets)
		if err != nil || string(again) != string(out) {
			t.Fatalf("twice: %v\n%q\n%q", err, out, again)
		}
	})
}
