//go:build linux

package rig

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Main is the TestMain of a package whose tests share what they build once, in the
// folder that it makes and puts into shared. Who leaves a goroutine fails.
func Main(m *testing.M, shared *string) {
	dir, err := os.MkdirTemp("", "rig")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	*shared = dir
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// Within is the context of one test.
func Within(t testing.TB, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// Dir makes a folder for a test's sockets. Unlike TB.TempDir its path is short
// whatever the test's name is: a socket's path has 107 bytes (unix(7)).
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rig")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// BootGuest boots a guest that ends with the test. A failed test quotes the
// guest's log.
func BootGuest(t testing.TB, c Config) *Guest {
	t.Helper()
	Need(t)
	// Not the test's own context: that ends before the guest is powered off.
	guest, err := Boot(context.WithoutCancel(t.Context()), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		guest.Close()
		if t.Failed() {
			t.Logf("the end of %s:\n%s", guest.Log, Tail(guest.Log, 30))
		}
	})
	return guest
}

// DefineDomain defines a domain that ends with the test. A failed test quotes its
// console and its QEMU's log.
func DefineDomain(t testing.TB, c DomainConfig) *Domain {
	t.Helper()
	d, err := Define(context.WithoutCancel(t.Context()), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.Close()
		if t.Failed() {
			qemu := filepath.Join("/var/log/libvirt/qemu", c.Name+".log")
			t.Logf("the end of the console of %s:\n%s\nand of %s:\n%s", c.Name, Tail(d.Log, 10), qemu, Tail(qemu, 10))
		}
	})
	return d
}

// Hostd starts a hostd that ends with the test. A failed test quotes its log.
func Hostd(t testing.TB, binary, dir, text string) *Daemon {
	t.Helper()
	d, err := NewDaemon(dir, binary, text)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.Close()
		if t.Failed() {
			t.Logf("the end of hostd's log:\n%s", Tail(d.Log, 40))
		}
	})
	if err := d.Start(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	return d
}
