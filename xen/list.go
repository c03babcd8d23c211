package xen

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"headgate/xen/xenstore"
)

// Domains reads all domains of this host but domain 0 and this one, by their
// numbers.
func Domains(s *xenstore.Conn) ([]Domain, error) {
	r, err := newReader(s)
	if err != nil {
		return nil, err
	}
	ids, err := r.ids()
	if err != nil {
		return nil, err
	}
	slices.Sort(ids)
	var all []Domain
	for _, id := range ids {
		d, there, err := r.domain(id)
		if err != nil {
			return nil, err
		}
		if there {
			all = append(all, d)
		}
	}
	return all, nil
}

// Is says whether key is the domain's name, its UUID or its number.
func (d Domain) Is(key string) bool {
	return key != "" && (key == d.Name || d.UUID != "" && strings.EqualFold(key, d.UUID) || d.hasID(key))
}

func (d Domain) hasID(key string) bool { return key == strconv.Itoa(int(d.ID)) }

// Find finds a domain by its number, name or UUID. Of two with one name, as while one
// is migrated within the host, it is the one with the highest number that offers a
// ring, or if none does, the highest. An error that is fs.ErrNotExist says that
// there is none.
func Find(s *xenstore.Conn, domain string) (Domain, error) {
	all, err := Domains(s)
	if err != nil {
		return Domain{}, err
	}
	var found *Domain
	for i, d := range all {
		switch {
		case d.hasID(domain):
			return d, nil
		case d.Is(domain) && (found == nil || d.Offer != nil || found.Offer == nil):
			found = &all[i]
		}
	}
	if found == nil {
		return Domain{}, fmt.Errorf("domain %q: %w: xl list shows those that run", clip(domain), errNoDomain)
	}
	return *found, nil
}

// errNoDomain is an fs.ErrNotExist in words that fit.
var errNoDomain error = noDomain{}

type noDomain struct{}

func (noDomain) Error() string        { return "this host has no such domain" }
func (noDomain) Is(target error) bool { return target == fs.ErrNotExist }

// SetPolicy writes the policy of a domain into domain 0's tree, in place of the one
// that is there. A policy that says nothing is one, too.
func SetPolicy(s *xenstore.Conn, uuid string, p Policy) error {
	path, err := policyOf(uuid)
	if err != nil {
		return err
	}
	return s.Update(func(tx *xenstore.Tx) error {
		if err := tx.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := tx.Mkdir(path); err != nil {
			return err
		}
		for _, node := range []string{"class", "rate", "weight"} {
			value := *p.node(node)
			if value == "" {
				continue
			}
			if err := tx.Write(path+"/"+node, value); err != nil {
				return err
			}
		}
		return nil
	})
}

// RemovePolicy removes the policy of a domain; there: it had one.
func RemovePolicy(s *xenstore.Conn, uuid string) (there bool, err error) {
	path, err := policyOf(uuid)
	if err != nil {
		return false, err
	}
	err = s.Update(func(tx *xenstore.Tx) error {
		there = false
		// To remove what is not there is no error where its parent is.
		_, err := tx.List(path)
		if err == nil {
			there = true
			err = tx.Remove(path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return there && err == nil, err
}

func policyOf(uuid string) (path string, err error) {
	clean, ok := parseUUID(uuid)
	if !ok {
		return "", fmt.Errorf("%q is no UUID: xl list -v shows those of the domains", clip(uuid))
	}
	return PolicyPath + "/" + clean, nil
}
