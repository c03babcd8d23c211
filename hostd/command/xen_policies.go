package command

import (
	"errors"
	"fmt"
	"io/fs"

	"headgate/hostd/config"
	"headgate/xen"
	"headgate/xen/xenstore"
)

// storedPolicy reads what dom0 has for a domain that is not there; nil: nothing.
func storedPolicy(s *xenstore.Conn, uuid string) (*xen.Policy, error) {
	nodes, err := s.List(xen.PolicyPath + "/" + uuid)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p := &xen.Policy{}
	for _, node := range nodes {
		value, err := s.Read(xen.PolicyPath + "/" + uuid + "/" + node)
		switch {
		case errors.Is(err, fs.ErrNotExist): // it went meanwhile
		case err != nil:
			return nil, err
		case node == "class":
			p.Class = value
		case node == "rate":
			p.Rate = value
		case node == "weight":
			p.Weight = value
		default:
			p.Unknown = append(p.Unknown, fmt.Sprintf("node %q", node))
		}
	}
	return p, nil
}

// orphans are the domains that have a policy and are not there, but for those here.
func orphans(s *xenstore.Conn, here []xen.Domain) ([]xen.Domain, error) {
	uuids, err := s.List(xen.PolicyPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, d := range here {
		known[d.UUID] = true
	}
	var found []xen.Domain
	for _, uuid := range uuids {
		if known[uuid] || !config.IsUUID(uuid) {
			continue
		}
		policy, err := storedPolicy(s, uuid)
		if err != nil {
			return nil, err
		}
		if policy != nil {
			found = append(found, xen.Domain{UUID: uuid, Policy: policy})
		}
	}
	return found, nil
}
