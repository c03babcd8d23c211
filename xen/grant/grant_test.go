package grant

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"testing"
)

func TestBounds(t *testing.T) {
	for _, n := range []int{-1, 0, MaxPages + 1} {
		if _, err := Share(0, n); err == nil {
			t.Errorf("%d pages were shared", n)
		}
	}
	for _, n := range []int{0, MaxPages + 1} {
		if _, err := Map(0, make([]Ref, n)); err == nil {
			t.Errorf("%d pages were mapped", n)
		}
	}
}

func TestWithoutXen(t *testing.T) {
	if _, err := os.Stat("/dev/xen/gntdev"); err == nil {
		t.Skip("this is Xen")
	}
	for module, f := range map[string]func() (*Pages, error){
		"xen-gntalloc": func() (*Pages, error) { return Share(0, 1) },
		"xen-gntdev":   func() (*Pages, error) { return Map(0, []Ref{8}) },
	} {
		_, err := f()
		if !errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v", err)
		}
		if runtime.GOOS == "linux" && !strings.Contains(err.Error(), "load the module "+module) {
			t.Errorf("%q does not say which module to load", err)
		}
	}
}
