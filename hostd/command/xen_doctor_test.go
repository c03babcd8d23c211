package command

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"

	"headgate/hostd/doctor"
)

// What the doctor finds of the system that runs the test is another matter: what is
// compared is what it says of hostd, xenstore and the domains.
func TestXenDoctor(t *testing.T) {
	r := newRig(t)
	f := xenDomains(t, r)
	code, out, errs := r.run(t, "xen", "doctor", "--xenstore", f.path)
	if code != 1 || !strings.HasPrefix(errs, "hostd: ") || !strings.Contains(errs, "faults: see above") {
		t.Errorf("exit %d: %q", code, errs)
	}
	_, domains, _ := strings.Cut(out, "ok     hostd: follows")
	golden(t, "xen_doctor", "ok     hostd: follows"+domains)

	_, out, _ = r.run(t, "xen", "doctor", "web1", "--xenstore", f.path)
	if strings.Contains(out, "domain mute") || !strings.Contains(out, "fault  domain web1: policy not understood") {
		t.Errorf("of web1 alone:\n%s", out)
	}
	code, out, _ = r.run(t, "xen", "doctor", "web9", "--xenstore", f.path)
	if code != 1 || !strings.Contains(out, "fault  domain web9: there is no such domain\n") {
		t.Errorf("exit %d:\n%s", code, out)
	}
	var found []doctor.Finding
	code, out, _ = r.run(t, "xen", "doctor", "--json", "--xenstore", f.path)
	if err := json.Unmarshal([]byte(out), &found); code != 1 || err != nil || doctor.Count(found, doctor.Fault) < 4 {
		t.Errorf("exit %d, %v: %s", code, err, out)
	}
}

func TestXenDoctorWithoutAnybody(t *testing.T) {
	r := newRig(t)
	r.dom0 = func() error { return errors.New("this system does not run on Xen") }
	code, out, _ := r.run(t, "xen", "doctor", "--control", "/nonexistent/c.sock")
	if code != 1 || !regexp.MustCompile(`^fault  hostd: no hostd answers at .*\n       systemctl start hostd\nfault  xen: this system does not run on Xen\n       run this in the dom0 .*\n$`).MatchString(out) {
		t.Errorf("exit %d:\n%s", code, out)
	}
}
