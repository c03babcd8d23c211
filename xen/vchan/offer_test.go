package vchan

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"testing"

	"headgate/xen/xenstore"
	"headgate/xen/xenstore/storetest"
)

const (
	relative = "data/headgate"
	absolute = "/local/domain/5/data/headgate"
)

// stores are those of a guest 5 and of dom0.
func stores(t *testing.T) (guest, dom0 *xenstore.Conn) {
	t.Helper()
	s := storetest.New()
	t.Cleanup(s.Close)
	s.Introduce(5)
	guest, dom0 = s.Connect(5), s.Connect(0)
	t.Cleanup(func() { guest.Close(); dom0.Close() })
	return guest, dom0
}

func TestOfferIsPublishedForThePeerAlone(t *testing.T) {
	guest, dom0 := stores(t)
	if _, err := ReadOffer(dom0, absolute); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	want := Offer{Ref: 8, Port: 4294967295}
	must(t, publish(guest, Config{Path: relative, Domain: 3}, want))
	if got, err := ReadOffer(dom0, absolute); err != nil || got != want {
		t.Fatal(got, err)
	}
	for _, node := range []string{"/ring-ref", "/event-channel"} {
		perms, err := dom0.Perms(absolute + node)
		if err != nil || !slices.Equal(perms, []xenstore.Perm{{Domain: 5, Access: xenstore.None}, {Domain: 3, Access: xenstore.ReadOnly}}) {
			t.Error(perms, err)
		}
	}
}

func TestWithdrawLeavesWhatIsNotItsOwn(t *testing.T) {
	guest, dom0 := stores(t)
	c := Config{Path: relative}
	old, fresh := Offer{Ref: 8, Port: 3}, Offer{Ref: 9, Port: 3}
	must(t, publish(guest, c, old))
	must(t, publish(guest, c, fresh)) // by another server
	must(t, withdraw(guest, relative, old))
	if got, err := ReadOffer(dom0, absolute); err != nil || got != fresh {
		t.Fatal(got, err)
	}
	must(t, guest.Write(relative+"/note", "stays"))
	must(t, withdraw(guest, relative, fresh))
	if list, err := dom0.List(absolute); err != nil || !slices.Equal(list, []string{"note"}) {
		t.Fatal(list, err)
	}
	must(t, guest.Remove(relative+"/note"))
	must(t, publish(guest, c, fresh))
	must(t, withdraw(guest, relative, fresh))
	if list, err := dom0.List(absolute); !errors.Is(err, fs.ErrNotExist) {
		t.Error(list, err)
	}
	must(t, withdraw(guest, relative, fresh)) // nothing there
}

// A guest writes what it likes into its nodes.
func TestReadOfferIsStrict(t *testing.T) {
	guest, dom0 := stores(t)
	good := map[string]string{"0": "", "7": "", "4294967295": ""}
	for _, text := range []string{"", " 7", "7 ", "07", "+7", "-7", "0x7", "7\n", "4294967296", "99999999999999999999", "7_0", "٧", "0", "7", "4294967295"} {
		for _, node := range []string{"/ring-ref", "/event-channel"} {
			must(t, publish(guest, Config{Path: relative}, Offer{1, 2}))
			must(t, guest.Write(relative+node, text))
			_, err := ReadOffer(dom0, absolute)
			if _, ok := good[text]; ok != (err == nil) {
				t.Errorf("%s %q: %v", node, text, err)
			}
			if errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s %q: %v would be waited for", node, text, err)
			}
		}
	}
}

func TestDialWithoutAnOffer(t *testing.T) {
	_, dom0 := stores(t)
	if _, err := Dial(dom0, Config{Domain: 5, Path: absolute}); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
}

// Without Xen's devices, that is the error, and nothing is left in xenstore.
func TestWithoutXen(t *testing.T) {
	if _, err := os.Stat("/dev/xen"); err == nil {
		t.Skip("this is Xen")
	}
	guest, dom0 := stores(t)
	if _, err := Listen(guest, Config{Path: relative}); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	if _, err := ReadOffer(dom0, absolute); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := Connect(5, Offer{8, 3}); !errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
