package console

import (
	"errors"
	"io/fs"
	"testing"

	"headgate/xen/xenstore"
	"headgate/xen/xenstore/storetest"
)

// store is a domU's, with these consoles.
func store(t *testing.T, names map[string]string) *xenstore.Conn {
	t.Helper()
	s := storetest.New()
	t.Cleanup(s.Close)
	s.Introduce(7)
	dom0 := s.Connect(0)
	t.Cleanup(func() { dom0.Close() })
	for entry, name := range names {
		if err := dom0.Write("/local/domain/7/device/console/"+entry, name); err != nil {
			t.Fatal(err)
		}
	}
	c := s.Connect(7)
	t.Cleanup(func() { c.Close() })
	return c
}

func TestFind(t *testing.T) {
	c := store(t, map[string]string{
		"1/name": "dummy", "2/name": "org.headgate.entropy.0", "3/backend": "nameless",
		"x/name": "org.other", "77/name": "org.far", "-1/name": "org.below",
	})
	for name, want := range map[string]string{
		"org.headgate.entropy.0": "/dev/hvc2", "dummy": "/dev/hvc1",
		"org.headgate": "", "": "", "org.other": "", "org.far": "", "org.below": "",
	} {
		got, err := Find(c, name)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", name, got, err)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v is not fs.ErrNotExist", name, err)
		}
	}
}

func TestFindWhereThereIsNone(t *testing.T) {
	if _, err := Find(store(t, nil), "any"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
