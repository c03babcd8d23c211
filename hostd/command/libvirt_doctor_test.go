package command

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"headgate/hostd/control"
	"headgate/hostd/doctor"
)

// What the doctor finds of the host that runs the test is another matter: what is
// compared is what it says of the domains and of hostd.
func TestDoctor(t *testing.T) {
	r := newRig(t)
	f := r.libvirt(t)
	hooks := filepath.Join(t.TempDir(), "none")
	r.fake.Snapshot.Libvirt = control.LibvirtStatus{Follow: true, Connected: true, Version: "9.0.0", Socket: "/s", Guests: "/run/headgate/guests", Domains: 1}
	f.domain("web1", fakeUUID, 0, "", "<rng model='virtio'><backend model='egd' type='unix'><source mode='connect' path='/run/headgate/guests/web1.sock'><reconnect enabled='yes' timeout='1'/></source></backend></rng>")
	f.domain("web\x012", "b956bb3c-4652-4b95-a7f3-30e85b7cf76d", 0, "", "<rng model='virtio'><backend model='random'>/dev/hwrng</backend></rng>")

	code, out, errs := r.run(t, "libvirt", "doctor", "--hooks", hooks)
	if code != 1 || !strings.HasPrefix(errs, "hostd: ") || !strings.Contains(errs, "faults: see above") {
		t.Errorf("exit %d: %q", code, errs)
	}
	for _, want := range []string{
		"ok     hostd: hostd 1.2.3 answers at ",
		"ok     libvirt: version 9.0.0\n",
		"fault  hook: " + hooks + "/qemu.d/headgate is not there",
		"       hostd libvirt install-hook --hooks " + hooks + "\n",
		"ok     domain web1: will be fed over /run/headgate/guests/web1.sock\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if strings.ContainsRune(out, 1) {
		t.Errorf("a domain's name steers the terminal: %q", out)
	}

	code, out, _ = r.run(t, "libvirt", "doctor", "--json", "--hooks", hooks)
	var found []doctor.Finding
	if err := json.Unmarshal([]byte(out), &found); code != 1 || err != nil || doctor.Count(found, doctor.Fault) < 2 {
		t.Errorf("exit %d, %v: %s", code, err, out)
	}
}

func TestDoctorWithoutAnybody(t *testing.T) {
	r := newRig(t)
	r.dialLibvirt = func(context.Context, []string) (libvirtd, error) { return nil, errors.New("no libvirt at all") }
	t.Setenv("HEADGATE_CONTROL", filepath.Join(t.TempDir(), "none.sock"))
	code, out, _ := r.run(t, "libvirt", "doctor")
	if code != 1 || !strings.Contains(out, "no hostd answers at") || !strings.Contains(out, "no libvirt at all") ||
		!strings.Contains(out, "systemctl start hostd") {
		t.Errorf("exit %d:\n%s", code, out)
	}
}

func TestFindings(t *testing.T) {
	r := newRig(t)
	if err := r.printFindings([]doctor.Finding{{Level: doctor.OK, About: "hostd", Text: "well"},
		{Level: doctor.Note, About: "domain", Domain: "web1", Text: "so so", Remedy: "mend it"},
		{Level: doctor.Fault, About: "hook", Text: "away", Remedy: "bring it"}}); err != nil {
		t.Fatal(err)
	}
	want := "ok     hostd: well\nnote   domain web1: so so\n       mend it\nfault  hook: away\n       bring it\n"
	if got := r.out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
