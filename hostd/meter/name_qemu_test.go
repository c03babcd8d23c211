package meter

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// commandLine is as /proc/PID/cmdline has it.
func commandLine(args ...string) []byte { return []byte(strings.Join(args, "\x00") + "\x00") }

func TestDomainIn(t *testing.T) {
	long := strings.Repeat("x", 400)
	for _, tc := range []struct {
		command      []byte
		comm, domain string
		qemu         bool
	}{
		{commandLine("/usr/bin/qemu-system-x86_64", "-name", "guest=web1,debug-threads=on", "-S"), "qemu-system-x86", "web1", true},
		{commandLine("qemu-system-aarch64", "-S", "-name", "web1"), "", "web1", true},
		{commandLine("/usr/libexec/qemu-kvm", "--name", "web1"), "", "web1", true},
		{commandLine("/usr/bin/kvm", "-id", "100", "-name", "web1,debug-threads=on", "-no-shutdown"), "kvm", "web1", true},
		{commandLine("qemu-kvm", "-name", "process=qemu:x,guest=a,,b c,debug-threads=on"), "", "a,b c", true},
		{commandLine("qemu-kvm", "-name", "a,,b"), "", "a,b", true},
		{commandLine("qemu-kvm", "-name", "guest=a=b"), "", "a=b", true},
		{commandLine("qemu-kvm", "-name", "a", "-name", "guest=b"), "", "b", true},
		{commandLine("qemu-kvm", "-name", "a", "-name", "process=x"), "", "a", true},
		{commandLine("qemu-kvm", "-name", "debug-threads,guest=x"), "", "x", true},
		{commandLine("qemu-kvm", "-name"), "", "", true},
		{commandLine("qemu-kvm"), "", "", true},
		{commandLine("qemu-kvm", "-name", "a\x1b[2J\nb\u202e\xff"), "", "a?[2J?b??", true},
		{commandLine("qemu-kvm", "-name", long), "", long[:255], true},
		{[]byte("qemu-kvm\x00-name\x00web1cut off"), "", "", true}, // the end was not read
		{nil, "qemu-system-x86", "", true},
		{commandLine("x", "-name", "web1"), "kvm", "web1", true},
		{nil, "", "", false},
		{commandLine("/usr/bin/dd", "-name", "web1"), "dd", "", false},
		{commandLine("/usr/bin/qemu-img", "-name", "web1"), "qemu-img", "", false},
		{commandLine("/qemu-system-x86_64/sh"), "sh", "", false},
		{commandLine(""), "", "", false},
	} {
		if domain, qemu := domainIn(tc.command, tc.comm); domain != tc.domain || qemu != tc.qemu {
			t.Errorf("%q: %q, %v; want %q, %v", tc.command, domain, qemu, tc.domain, tc.qemu)
		}
	}
}

// A process may have as many arguments as it likes: they cost no more than their bytes.
func TestManyArguments(t *testing.T) {
	command := append([]byte("kvm\x00"), make([]byte, maxCommand)...)
	if n := testing.AllocsPerRun(10, func() { domainIn(command, "") }); n > 10 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzDomainIn: whatever a process says of itself, what comes of it can be shown; and
// what QEMU would take for a guest's name comes back whole.
func FuzzDomainIn(f *testing.F) {
	f.Add([]byte("qemu-kvm\x00-name\x00guest=web1,debug-threads=on\x00"), "a,b")
	f.Add([]byte("\x00\x00-name\x00,,,=,\x00"), "=,")
	f.Fuzz(func(t *testing.T, command []byte, name string) {
		domain, qemu := domainIn(command, "kvm")
		if !qemu || len(domain) > 3*maxName || !utf8.ValidString(domain) || strings.ContainsFunc(domain, unicode.IsControl) {
			t.Errorf("%q, %v", domain, qemu)
		}
		if domain, _ := domainIn(command, "sh"); domain != "" && !strings.Contains(string(command), "\x00-name\x00") && !strings.Contains(string(command), "\x00--name\x00") {
			t.Errorf("%q comes from nowhere", domain)
		}
		if strings.Contains(name, "\x00") || len(name) > maxName {
			return
		}
		doubled := "guest=" + strings.ReplaceAll(name, ",", ",,") + ",debug-threads=on"
		if domain, _ := domainIn(append([]byte("kvm\x00-name\x00"), commandLine(doubled)...), ""); domain != clean(name) {
			t.Errorf("%q of %q", domain, doubled)
		}
	})
}
