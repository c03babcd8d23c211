package meter

import (
	"fmt"
	"os"
	"path"
	"syscall"

	"headgate/hostd/cgroup"
)

// Bounds of looking for a control group. A big host has some thousand.
const (
	maxGroups = 32 << 10 // folders that one look visits
	maxKnown  = 8 << 10  // names that are kept
	maxPath   = 512      // bytes of a name: of a longer one the end, which tells it from others
)

// tree names control groups by their number: kernfs's, which is the inode of their
// folder where an inode has 64 bits (cgroup_id, include/linux/cgroup.h; kernfs_ino,
// include/linux/kernfs.h). A number is given once and a control group of version 2
// keeps its name, so that a name once found is right for ever.
type tree struct {
	mounted func() (cgroup.Mount, error)
	known   map[uint64]string // those that were asked for
	found   map[uint64]string // by the look of this reading; nil: there was none yet
}

// begin is called before the names of a reading are asked for.
func (t *tree) begin() {
	t.found = nil
	if len(t.known) >= maxKnown {
		t.known = nil
	}
}

// name gives a name in any case. It looks through the tree at most once in a reading.
func (t *tree) name(id uint64) string {
	if name, known := t.known[id]; known {
		return name
	}
	looks := t.found == nil
	if looks {
		t.found = t.look()
	}
	name, found := t.found[id]
	if !found {
		name = fmt.Sprintf("cgroup:%d", id)
	}
	// Of a number that is not there now and was not made after the look, none will be.
	if found || looks {
		if t.known == nil {
			t.known = map[uint64]string{}
		}
		t.known[id] = name
	}
	return name
}

// look walks through the tree, the upper ones first.
func (t *tree) look() map[uint64]string {
	found := map[uint64]string{}
	m, err := t.mounted()
	if err != nil {
		return found // that there is none the guard says
	}
	folders := []string{m.Point}
	for next := 0; next < len(folders); next++ {
		folder := folders[next]
		var s syscall.Stat_t
		if syscall.Lstat(folder, &s) != nil {
			continue // removed meanwhile
		}
		name := m.Path(folder)
		if len(name) > maxPath {
			name = "…" + name[len(name)-maxPath:]
		}
		found[s.Ino] = clean(name)
		under, _ := os.ReadDir(folder) // those that could be read
		for _, e := range under {
			if e.IsDir() && len(folders) < maxGroups {
				folders = append(folders, path.Join(folder, e.Name()))
			}
		}
	}
	return found
}
