package xen

import (
	"errors"
	"io/fs"

	"headgate/xen/xenstore"
)

// ReadPolicy reads what domain 0 has written for the domain of that UUID, which need
// not be there; nil: nothing, or that is no UUID.
func ReadPolicy(s *xenstore.Conn, uuid string) (*Policy, error) {
	clean, ok := parseUUID(uuid)
	if !ok {
		return nil, nil
	}
	return reader{conn: s}.policy(clean)
}

// Policies reads the policies of all domains that have one, by their UUIDs, whether
// those are there or not.
func Policies(s *xenstore.Conn) (map[string]*Policy, error) {
	uuids, err := s.List(PolicyPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all := map[string]*Policy{}
	for _, uuid := range uuids {
		if clean, ok := parseUUID(uuid); !ok || clean != uuid {
			continue // no domain is found by it
		}
		p, err := ReadPolicy(s, uuid)
		if err != nil {
			return nil, err
		}
		if p != nil {
			all[uuid] = p
		}
	}
	return all, nil
}
