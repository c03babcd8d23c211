package doctor

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const (
	deniedConnect = `5,1234,56789,-;audit: type=1400 audit(1767340800.123:45): apparmor="DENIED" operation="connect" profile="libvirt-a956bb3c-4652-4b95-a7f3-30e85b7cf76d" name="/run/headgate/guests/web1.sock" pid=77 comm="qemu-system-x86" requested_mask="wr" denied_mask="wr" fsuid=64055 ouid=64055`
	deniedExec    = `type=AVC msg=audit(1767340801.000:46): apparmor="DENIED" operation="exec" profile="libvirtd" name="/usr/local/sbin/hostd" pid=78 comm="headgate" requested_mask="x" denied_mask="x" fsuid=0 ouid=0`
	deniedLabel   = `type=AVC msg=audit(1767340802.999:47): avc:  denied  { connectto } for  pid=79 comm="qemu-kvm" path="/run/headgate/guests/web1.sock" scontext=system_u:system_r:svirt_t:s0:c1,c2 tcontext=system_u:system_r:unconfined_service_t:s0 tclass=unix_stream_socket permissive=0`
)

func TestDenials(t *testing.T) {
	log := strings.Join([]string{deniedConnect, deniedExec, deniedLabel,
		strings.Replace(deniedConnect, "/run/headgate/guests/", "/run/other/", 1),
		strings.Replace(deniedConnect, "DENIED", "ALLOWED", 1),
		strings.Replace(deniedExec, "/usr/local/sbin/hostd", "/usr/local/sbin/other", 1),
		strings.Replace(deniedExec, `operation="exec"`, `operation="open"`, 1),
		strings.Replace(deniedLabel, "permissive=0", "permissive=1", 1),
		strings.Replace(deniedConnect, "audit(", "audit[", 1),
		"6,1,1,-;a line with /run/headgate/guests/ in it", "",
	}, "\n")
	found := denialsIn([]byte(log), "/run/headgate/guests", "/usr/local/sbin/hostd")
	if len(found) != 3 {
		t.Fatalf("%d of 3: %+v", len(found), found)
	}
	for i, want := range []int64{1767340800123, 1767340801000, 1767340802999} {
		if found[i].Time.UnixMilli() != want || !strings.HasPrefix(found[i].Text, "audit(") {
			t.Errorf("%+v, want %d", found[i], want)
		}
	}
	if found := denialsIn([]byte(deniedExec), "/g", ""); found != nil {
		t.Errorf("no program, and %+v", found)
	}
}

func TestLogsAreBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, bytes.Repeat([]byte("audit\n"), maxKernelLog/3), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := kernelLog(path)
	if err != nil || len(log) > maxKernelLog+maxRecord || len(log) < maxKernelLog {
		t.Errorf("%d bytes, %v", len(log), err)
	}
	log, err = tail(path, 12)
	if err != nil || string(log) != "audit\naudit\n" {
		t.Errorf("%q, %v", log, err)
	}
	if _, err := tail(t.TempDir(), 12); err == nil {
		t.Error("the tail of a folder")
	}
	if _, err := kernelLog(path + "x"); err == nil {
		t.Error("a log that is not there")
	}
}

// It must not wait for the next record: a FIFO that somebody may write to has, like
// /dev/kmsg, EAGAIN after the last. The real one is not for everybody to read.
func TestKernelLogEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kmsg")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.WriteString(deniedConnect + "\n"); err != nil {
		t.Fatal(err)
	}
	if log, err := kernelLog(path); err != nil || string(log) != deniedConnect+"\n" {
		t.Errorf("%q, %v", log, err)
	}
	if _, err := kernelLog("/dev/kmsg"); err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func FuzzDenials(f *testing.F) {
	for _, line := range []string{deniedConnect, deniedExec, deniedLabel} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, log []byte) {
		found := denialsIn(log, "/run/headgate/guests", "/usr/local/sbin/hostd")
		if len(found) > bytes.Count(log, []byte("\n"))+1 {
			t.Fatalf("%d denials in %q", len(found), log)
		}
		for _, d := range found {
			if d.Time.IsZero() || !strings.Contains(d.Text, "audit(") {
				t.Fatalf("%+v in %q", d, log)
			}
		}
	})
}
