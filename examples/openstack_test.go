package examples

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"headgate/integration/rig"
)

// virsh prints what virsh 9.0 does: a domain that runs, and events.
const virsh = `#!/bin/sh
case "$*" in
*list*) printf 'instance-00000001\nother\n\n' ;;
*event*)
	echo "event 'lifecycle' for domain 'instance-00000002': Resumed Unpaused"
	echo "event 'lifecycle' for domain 'instance-00000002': Started Booted"
	echo "event 'lifecycle' for domain 'instance-00000003': Stopped Destroyed"
	echo "event 'lifecycle' for domain 'web1': Started Booted"
	echo "event 'lifecycle' for domain instance-00000004: Resumed Migrated"
	echo "event loop timed out"
	sleep 60 ;;
esac
`

func TestNova(t *testing.T) {
	rig.Tool(t, "stdbuf", "coreutils")
	dir := t.TempDir()
	told := filepath.Join(dir, "told")
	for name, text := range map[string]string{"virsh": virsh, "hostd": "#!/bin/sh\ncat\necho \"$*\" >>" + told + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("sh", "openstack/headgate-nova")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it goes on for ever, with others under it
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "HOSTD="+filepath.Join(dir, "hostd"), "HEADGATE_CLASS=gold")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	want := "libvirt attach instance-00000001 --live --replace --class gold\nlibvirt attach instance-00000002 --live --replace --class gold\n" +
		"libvirt attach instance-00000004 --live --replace --class gold\n"
	var got []byte
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end) && string(got) != want; time.Sleep(20 * time.Millisecond) {
		got, _ = os.ReadFile(told)
	}
	if string(got) != want {
		t.Errorf("hostd was told\n%s\nand not\n%s", got, want)
	}
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // it was killed
}

func TestUnit(t *testing.T) {
	analyze := rig.Tool(t, "systemd-analyze", "systemd")
	script, err := filepath.Abs("openstack/headgate-nova")
	if err != nil {
		t.Fatal(err)
	}
	text := read(t, "openstack/headgate-nova.service")
	if !strings.Contains(text, "ExecStart=/usr/local/libexec/headgate-nova\n") {
		t.Error("it starts something else")
	}
	unit := filepath.Join(t.TempDir(), "headgate-nova.service")
	if err := os.WriteFile(unit, []byte(strings.ReplaceAll(text, "/usr/local/libexec/headgate-nova", script)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", unit).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
