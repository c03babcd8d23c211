package storetest

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// refused is an error as it travels, such as "ENOENT".
type refused string

func (r refused) Error() string { return string(r) }

// tree has every node under its absolute path. A node is replaced, never changed, so
// that to copy the map is to copy the tree.
type tree map[string]node

type node struct {
	value      string
	perms      []string
	children   []string // sorted
	generation uint64   // changes with the value, the permissions and the list of children
}

// step is one change that somebody asks for.
type step struct {
	op    uint32
	path  string
	value string
	perms []string
	domid uint16 // who asks, and owns what is new
}

// change is what a step has changed: what watches are told of.
type change struct {
	path    string   // "": nothing
	removed []string // all that was below path
}

func (t tree) do(s step, next func() uint64) (change, error) {
	n, there := t[s.path]
	switch s.op {
	case opWrite:
		n = t.make(s.path, s.domid, next)
		n.value = s.value
	case opMkdir:
		if there {
			return change{}, nil
		}
		n = t.make(s.path, s.domid, next)
	case opSetPerms:
		if !there {
			return change{}, refused("ENOENT")
		}
		n.perms = s.perms
	case opRemove:
		return t.remove(s.path, next)
	}
	n.generation = next()
	t[s.path] = n
	return change{path: s.path}, nil
}

// make returns a node, and makes it and what is missing above it.
func (t tree) make(p string, domid uint16, next func() uint64) node {
	if n, there := t[p]; there {
		return n
	}
	parent := t.make(path.Dir(p), domid, next)
	n := node{perms: slices.Clone(parent.perms), generation: next()}
	if domid != 0 {
		n.perms[0] = n.perms[0][:1] + path.Base(home(domid))
	}
	at, _ := slices.BinarySearch(parent.children, path.Base(p))
	parent.children = slices.Insert(slices.Clone(parent.children), at, path.Base(p))
	parent.generation = next()
	t[path.Dir(p)] = parent
	t[p] = n
	return n
}

func (t tree) remove(p string, next func() uint64) (change, error) {
	if p == "/" {
		return change{}, refused("EINVAL")
	}
	parent, there := t[path.Dir(p)]
	if !there {
		return change{}, refused("ENOENT")
	}
	if _, there := t[p]; !there {
		return change{}, nil
	}
	c := change{path: p, removed: t.below(p)}
	for _, q := range append(c.removed, p) {
		delete(t, q)
	}
	parent.children = slices.DeleteFunc(slices.Clone(parent.children), func(name string) bool { return name == path.Base(p) })
	parent.generation = next()
	t[path.Dir(p)] = parent
	return c, nil
}

func (t tree) below(p string) []string {
	var list []string
	for q := range t {
		if q != p && under(q, p) {
			list = append(list, q)
		}
	}
	return list
}

// under says whether p is at or below top.
func under(p, top string) bool {
	return p == top || top == "/" || strings.HasPrefix(p, top+"/")
}

// transaction is a copy of the tree, and what was done with it.
type transaction struct {
	base, view tree
	touched    map[string]bool // what it read or would change
	steps      []step
}

func begin(t tree) *transaction {
	return &transaction{base: maps.Clone(t), view: maps.Clone(t), touched: make(map[string]bool)}
}

func (x *transaction) do(s step, next func() uint64) error {
	x.touch(s)
	if _, err := x.view.do(s, next); err != nil {
		return err
	}
	x.steps = append(x.steps, s)
	return nil
}

// touch marks what a step reads: the node, and above one that is not there all up to
// the first that is.
func (x *transaction) touch(s step) {
	p := s.path
	x.touched[p] = true
	if s.op == opRemove {
		x.touched[path.Dir(p)] = true
		for _, q := range x.view.below(p) {
			x.touched[q] = true
		}
	}
	for _, there := x.view[p]; !there && p != "/"; _, there = x.view[p] {
		p = path.Dir(p)
		x.touched[p] = true
	}
}

// conflicts says whether somebody changed what x touched.
func (x *transaction) conflicts(now tree) bool {
	for p := range x.touched {
		was, had := x.base[p]
		is, has := now[p]
		if had != has || was.generation != is.generation {
			return true
		}
	}
	return false
}
