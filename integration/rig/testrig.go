//go:build linux

package rig

import (
	"context"
	"os"
	"testing"
)

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
