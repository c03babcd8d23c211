package xenstore_test

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"headgate/xen/xenstore"
	"headgate/xen/xenstore/storetest"
)

const patience = 20 * time.Second

func store(t *testing.T) *storetest.Store {
	s := storetest.New()
	t.Cleanup(s.Close)
	return s
}

func connect(t *testing.T, s *storetest.Store, domid uint16) *xenstore.Conn {
	c := s.Connect(domid)
	t.Cleanup(func() { ok(t, c.Close()) })
	return c
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wait(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("%s does not happen", what)
	}
}

func quiet(t *testing.T, c <-chan struct{}, why string) {
	t.Helper()
	select {
	case <-c:
		t.Error("a signal, though " + why)
	default:
	}
}

// settle is a round trip: what xenstored sent before it has been taken.
func settle(t *testing.T, c *xenstore.Conn) {
	t.Helper()
	_, err := c.List("/")
	ok(t, err)
}

func TestTree(t *testing.T) {
	s := store(t)
	s.Introduce(5)
	dom0, guest := connect(t, s, 0), connect(t, s, 5)

	binary := "\x00\xff value\n"
	ok(t, guest.Write("data/headgate/ring-ref", binary))
	if v, err := dom0.Read("/local/domain/5/data/headgate/ring-ref"); v != binary || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	ok(t, guest.Mkdir("data/headgate/empty"))
	ok(t, guest.Mkdir("data/headgate/ring-ref"))
	if v, err := guest.Read("data/headgate/ring-ref"); v != binary || err != nil {
		t.Errorf("mkdir over a value: %q, %v", v, err)
	}
	if v, err := guest.Read("data/headgate/empty"); v != "" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	names, err := guest.List("data/headgate")
	if slices.Sort(names); !slices.Equal(names, []string{"empty", "ring-ref"}) || err != nil {
		t.Errorf("%q, %v", names, err)
	}
	if names, err := guest.List("data/headgate/empty"); len(names) != 0 || err != nil {
		t.Errorf("%q, %v", names, err)
	}

	perms := []xenstore.Perm{{Domain: 5, Access: xenstore.None}, {Domain: 0, Access: xenstore.ReadOnly}}
	ok(t, guest.SetPerms("data/headgate", perms...))
	if got, err := dom0.Perms("/local/domain/5/data/headgate"); !slices.Equal(got, perms) || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	if s := perms[0].String(); s != "n5" {
		t.Error(s)
	}

	ok(t, guest.Remove("data/headgate"))
	ok(t, guest.Remove("data/headgate"))
	if path, err := guest.DomainPath(7); path != "/local/domain/7" || err != nil {
		t.Errorf("%q, %v", path, err)
	}
	if v, err := guest.Read("domid"); v != "5" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
}

func TestRefusals(t *testing.T) {
	c := connect(t, store(t), 0)
	for name, test := range map[string]struct {
		err  error
		want error
		text string
	}{
		"read":   {second(c.Read("data/none")), fs.ErrNotExist, "xenstore read data/none: no such file or directory"},
		"list":   {second(c.List("/none")), fs.ErrNotExist, "xenstore list /none: no such file or directory"},
		"perms":  {second(c.Perms("/none")), fs.ErrNotExist, "xenstore perms /none: no such file or directory"},
		"remove": {c.Remove("/none/none"), fs.ErrNotExist, "xenstore remove /none/none: no such file or directory"},
		"rune":   {c.Write("/org.headgate", ""), nil, "xenstore write /org.headgate: the path has a character other than letters, digits, - / _ and @"},
		"empty":  {second(c.Read("")), nil, "xenstore read: the path is empty"},
		"event":  {second(c.Read("@releaseDomain")), fs.ErrNotExist, "xenstore read @releaseDomain: no such file or directory"},
		"long":   {c.Write("/a", strings.Repeat("v", 4096-2)), nil, "xenstore write /a: the request is too long: path and value take at most 4096 bytes together, 4080 on /dev/xen/xenbus"},
		"owner":  {c.SetPerms("/a"), nil, "xenstore set perms /a: permissions need an owner first, and n, r, w or b for each domain"},
		"access": {c.SetPerms("/a", xenstore.Perm{Access: 'x'}), nil, "xenstore set perms /a: permissions need an owner first, and n, r, w or b for each domain"},
		"watch":  {second(c.Watch("a//b")), nil, "xenstore watch a//b: the path has a doubled or trailing slash"},
	} {
		if test.err == nil || test.err.Error() != test.text || test.want != nil && !errors.Is(test.err, test.want) {
			t.Errorf("%s: %v", name, test.err)
		}
	}
	ok(t, c.Write("/a", strings.Repeat("v", 4096-3)))
	if c.Err() != nil {
		t.Error(c.Err())
	}
}

func second[T any](_ T, err error) error { return err }

func TestLongList(t *testing.T) {
	c := connect(t, store(t), 0)
	var want []string
	for i := range 1000 {
		name := "child-" + strconv.Itoa(10000+i)
		want = append(want, name)
		ok(t, c.Mkdir("/a/"+name))
	}
	names, err := c.List("/a")
	if slices.Sort(names); !slices.Equal(names, want) || err != nil {
		t.Errorf("%d names of %d, %v", len(names), len(want), err)
	}
}

func TestConcurrent(t *testing.T) {
	s := store(t)
	c := connect(t, s, 0)
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			path := "/a/" + strconv.Itoa(i)
			for n := range 50 {
				want := strconv.Itoa(n)
				if err := c.Write(path, want); err != nil {
					t.Error(err)
				}
				if v, err := c.Read(path); v != want || err != nil {
					t.Errorf("%s: %q, %v", path, v, err)
				}
				if _, err := c.Read("/none"); !errors.Is(err, fs.ErrNotExist) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// Close from another goroutine wakes a request that waits.
func TestCloseWakes(t *testing.T) {
	s := store(t)
	c := s.Connect(0)
	w, err := c.Watch("/a")
	ok(t, err)
	s.Hang()
	read := make(chan error)
	go func() { read <- second(c.Read("/a")) }()
	update := make(chan error)
	go func() { update <- c.Update(func(*xenstore.Tx) error { return nil }) }()
	time.Sleep(5 * time.Millisecond)
	ok(t, c.Close())
	for _, err := range []error{<-read, <-update, c.Write("/a", ""), second(c.Watch("/a")), c.Err()} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("%v", err)
		}
	}
	wait(t, c.Done(), "the end of the connection")
	ok(t, w.Close())
}

func TestLost(t *testing.T) {
	s := store(t)
	c := s.Connect(0)
	s.Hang()
	read := make(chan error)
	go func() { read <- second(c.Read("/a")) }()
	time.Sleep(5 * time.Millisecond)
	s.Close()
	err := <-read
	if err == nil || errors.Is(err, os.ErrClosed) || !strings.Contains(err.Error(), "xenstored has closed the connection") {
		t.Errorf("%v", err)
	}
	wait(t, c.Done(), "the end of the connection")
	if c.Err() == nil || !strings.Contains(err.Error(), c.Err().Error()) {
		t.Errorf("%v, but the request failed with %v", c.Err(), err)
	}
	ok(t, c.Close())
}
