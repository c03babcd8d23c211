//go:build linux

// Package check says what every clone of an image would share, and whether guestd
// is in it, for the image's builder to mend before it is sealed.
//
// It promises to change nothing; to read the first few KiB of a file and tell nobody
// what is in them (of a kernel's configuration 1 MiB); to follow links as the image's
// own system would, so that none leads out of it; to come to an end, whatever the
// image is made of; and that what could not be looked at is a fault. The image may be
// somebody else's.
//
// It knows the places of the table in shared.go. A key elsewhere, a password, a
// volume key or a file system's UUID is not seen.
package check

import (
	"cmp"
	"errors"
	"os"
	"path"
	"strings"
)

// Level says how bad a finding is.
type Level string

// Levels of a finding.
const (
	OK    Level = "ok"
	Note  Level = "note"  // nothing is shared, and it could be better
	Fault Level = "fault" // every clone would have the same, or it could not be looked at
)

// What clones may share.
const (
	Secret   = "secret"   // who has one clone can pass for another, or foretell what it makes
	Identity = "identity" // clones are taken for one another
)

// Finding is what was found of one thing.
type Finding struct {
	Level  Level
	About  string // ssh, machine-id, random-seed, key, identity, guestd, kernel, image
	Path   string // as it is called in the image; empty if it is about no one file
	Shared string // Secret, Identity or empty
	What   string
	Fix    string // one command, for the image where it was looked at; empty if none does it
}

// Run looks at the image below root.
func Run(root string) ([]Finding, error) {
	r, err := os.OpenRoot(root)
	if err != nil {
		return nil, errors.New("cannot look at the image: " + err.Error())
	}
	defer func() { _ = r.Close() }()
	m := &image{root: r, prefix: quoted(strings.TrimRight(path.Clean(root), "/")), steps: maxSteps}
	if !m.is("/etc") {
		return nil, errors.New("cannot look at the image: there is no etc in " + root + ": is it mounted?")
	}
	var found []Finding
	for _, g := range groups {
		before := len(found)
		for _, s := range shared {
			if s.about == g.about {
				found = append(found, m.look(s)...)
			}
		}
		if len(found) == before && m.steps >= 0 {
			found = append(found, Finding{Level: OK, About: g.about, What: g.fine})
		}
	}
	found = append(found, m.guestd()...)
	found = append(found, m.kernels()...)
	if m.steps < 0 {
		return append([]Finding{{Level: Fault, About: "image", What: errSteps.Error() + ": most of it was not looked at"}}, found...), nil
	}
	return found, nil
}

// Count says how many findings are faults, and how many of them are shared secrets
// and identities.
func Count(found []Finding) (faults, secrets, identities int) {
	for _, f := range found {
		if f.Level != Fault {
			continue
		}
		faults++
		switch f.Shared {
		case Secret:
			secrets++
		case Identity:
			identities++
		}
	}
	return faults, secrets, identities
}

// maxFindings bounds what is said of one row of the table.
const maxFindings = 64

// look looks for what one row of the table is about.
func (m *image) look(s row) (found []Finding) {
	fix := m.removal(s.paths)
	if s.fix != "" {
		fix = m.fix(s.fix)
	}
	seen := map[string]bool{} // two names may lead to one file
	for _, pattern := range s.paths {
		files, err := m.glob(pattern)
		if err != nil {
			found = append(found, m.unseen(s.about, pattern, err)...)
		}
		for _, name := range files {
			if len(found) == maxFindings {
				return append(found, Finding{Level: Fault, About: s.about, Shared: s.shared, What: "and more of them", Fix: fix})
			}
			f, err := m.file(name)
			switch {
			case err != nil:
				found = append(found, m.unseen(s.about, name, err)...)
				continue
			case f.size == 0 || f.volatile() || seen[f.path]:
				continue
			}
			seen[f.path] = true
			if s.counts != nil {
				text, err := m.read(f)
				if err != nil {
					found = append(found, m.unseen(s.about, name, err)...)
					continue
				}
				if !s.counts(text) {
					continue
				}
			}
			found = append(found, Finding{Level: Fault, About: s.about, Path: printable(name), Shared: s.shared, What: s.what, Fix: fix})
		}
	}
	return found
}

// unseen is the finding that something could not be looked at; none where that is
// so because too much was, which Run says once.
func (m *image) unseen(about, name string, err error) []Finding {
	if errors.Is(err, errSteps) {
		return nil
	}
	var failed *os.PathError
	if errors.As(err, &failed) {
		err = failed.Err
	}
	f := Finding{Level: Fault, About: about, Path: printable(name), What: "cannot be looked at: " + err.Error()}
	if errors.Is(err, os.ErrPermission) {
		f.Fix = "sudo guestd check --root " + cmp.Or(m.prefix, "/")
	}
	return []Finding{f}
}
