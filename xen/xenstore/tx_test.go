package xenstore_test

import (
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"headgate/xen/xenstore"
)

func TestUpdate(t *testing.T) {
	s := store(t)
	c, other := connect(t, s, 0), connect(t, s, 0)
	var escaped *xenstore.Tx
	ok(t, c.Update(func(tx *xenstore.Tx) error {
		escaped = tx
		ok(t, tx.Write("/a/b", "1"))
		ok(t, tx.SetPerms("/a/b", xenstore.Perm{Domain: 3, Access: xenstore.Both}))
		if v, err := tx.Read("/a/b"); v != "1" || err != nil {
			t.Errorf("inside: %q, %v", v, err)
		}
		if _, err := other.Read("/a/b"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("outside: %v", err)
		}
		return nil
	}))
	if v, err := other.Read("/a/b"); v != "1" || err != nil {
		t.Errorf("after: %q, %v", v, err)
	}
	if err := escaped.Write("/a/b", "2"); err == nil {
		t.Error("a transaction goes on after its end")
	}
	ok(t, c.Update(func(tx *xenstore.Tx) error {
		ok(t, tx.Mkdir("/a/c"))
		ok(t, tx.Remove("/a/b"))
		if names, err := tx.List("/a"); !slices.Equal(names, []string{"c"}) || err != nil {
			t.Errorf("inside: %q, %v", names, err)
		}
		if perms, err := tx.Perms("/a/c"); len(perms) != 1 || err != nil {
			t.Errorf("inside: %v, %v", perms, err)
		}
		return nil
	}))
	if names, err := other.List("/a"); !slices.Equal(names, []string{"c"}) || err != nil {
		t.Errorf("after: %q, %v", names, err)
	}
}

func TestUpdateAborts(t *testing.T) {
	s := store(t)
	c := connect(t, s, 0)
	mine := errors.New("mine")
	calls := 0
	err := c.Update(func(tx *xenstore.Tx) error {
		calls++
		ok(t, tx.Write("/a", "1"))
		return mine
	})
	if !errors.Is(err, mine) || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
	func() {
		defer func() { _ = recover() }()
		_ = c.Update(func(tx *xenstore.Tx) error {
			ok(t, tx.Write("/a", "1"))
			panic(mine)
		})
	}()
	if _, err := c.Read("/a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// Others change what a transaction read or wrote: it is run again.
func TestUpdateConflicts(t *testing.T) {
	s := store(t)
	c, other := connect(t, s, 0), connect(t, s, 0)
	ok(t, c.Write("/a/n", "1"))
	for name, meddle := range map[string]func() error{
		"value":  func() error { return other.Write("/a/n", "7") },
		"remove": func() error { return other.Remove("/a") },
		"perms":  func() error { return other.SetPerms("/a/n", xenstore.Perm{Access: xenstore.None}) },
		"child":  func() error { return other.Mkdir("/a/n/child") },
	} {
		ok(t, c.Write("/a/n", "1"))
		calls := 0
		ok(t, c.Update(func(tx *xenstore.Tx) error {
			calls++
			if _, err := tx.Read("/a/n"); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			if calls == 1 {
				ok(t, meddle())
			}
			return tx.Write("/a/n", "2")
		}))
		if v, err := c.Read("/a/n"); calls != 2 || v != "2" || err != nil {
			t.Errorf("%s: %q after %d calls, %v", name, v, calls, err)
		}
	}

	calls := 0
	ok(t, c.Update(func(tx *xenstore.Tx) error {
		calls++
		ok(t, other.Write("/elsewhere", strconv.Itoa(calls)))
		return tx.Write("/a/n", "3")
	}))
	if calls != 1 {
		t.Errorf("a change elsewhere: %d calls", calls)
	}
}

// Somebody who never stops is no reason never to return.
func TestUpdateEnds(t *testing.T) {
	s := store(t)
	c, other := connect(t, s, 0), connect(t, s, 0)
	ok(t, other.Write("/a", "theirs"))
	calls := 0
	err := c.Update(func(tx *xenstore.Tx) error {
		calls++
		_, err := tx.Read("/a")
		if err == nil {
			err = tx.Write("/a", "mine")
		}
		ok(t, other.Write("/a", "theirs"))
		return err
	})
	if !errors.Is(err, syscall.EAGAIN) || calls < 10 || calls > 100 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

func TestUpdateCounts(t *testing.T) {
	s := store(t)
	shared := connect(t, s, 0)
	var all sync.WaitGroup
	for i := range 4 {
		c := shared
		if i%2 == 0 {
			c = connect(t, s, 0)
		}
		all.Go(func() {
			for range 5 {
				err := c.Update(func(tx *xenstore.Tx) error {
					v, err := tx.Read("/count")
					if err != nil && !errors.Is(err, fs.ErrNotExist) {
						return err
					}
					n, _ := strconv.Atoi(v)
					return tx.Write("/count", strconv.Itoa(n+1))
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if v, err := shared.Read("/count"); v != "20" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
}

// A guest that is restored has lost its transactions: that is a conflict.
func TestUpdateOverRestore(t *testing.T) {
	s := store(t)
	s.Introduce(5)
	c := connect(t, s, 5)
	calls := 0
	ok(t, c.Update(func(tx *xenstore.Tx) error {
		err := tx.Write("data/x", "1")
		if calls++; calls == 1 {
			s.Restore(5, 6)
		}
		return err
	}))
	if v, err := c.Read("/local/domain/6/data/x"); v != "1" || err != nil || calls != 2 {
		t.Errorf("%q, %v after %d calls", v, err, calls)
	}
}
