package doctor

import (
	"context"
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"headgate/kvm/libvirt"
)

func (h Host) domains(ctx context.Context) ([]Domain, error) {
	infos, err := h.Libvirt.Domains(ctx, true)
	if err != nil {
		return nil, err
	}
	users := users{known: map[uint32]User{}}
	var all []Domain
	for _, info := range infos {
		d := Domain{Active: info.Active}
		xml, err := h.Libvirt.XML(ctx, info.UUID, !info.Active)
		if errors.Is(err, libvirt.ErrNoDomain) {
			continue // it went meanwhile
		}
		if err == nil {
			d.Domain, err = libvirt.ParseDomain(xml)
		}
		if err != nil {
			d.Domain, d.Err = libvirt.Domain{Name: info.Name, UUID: info.UUID}, err
		}
		if d.Active && d.Err == nil {
			d.QEMU = users.of(d.UID)
			d.Ways = h.ways(d.Domain)
			d.Confined = confined(xml)
			if info.Persistent {
				d.Next = h.next(ctx, info.UUID)
			}
		}
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b Domain) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// next gives a domain as it is from its next start on, if that can be had.
func (h Host) next(ctx context.Context, uuid string) *libvirt.Domain {
	xml, err := h.Libvirt.XML(ctx, uuid, true)
	if err != nil {
		return nil // it may have gone, or been undefined, meanwhile
	}
	d, err := libvirt.ParseDomain(xml)
	if err != nil {
		return nil
	}
	return &d
}

// ways looks at the path to each socket that the domain names.
func (h Host) ways(d libvirt.Domain) map[string]Way {
	ways := map[string]Way{}
	for _, r := range d.RNGs {
		if r.Type == "unix" && filepath.IsAbs(r.Path) {
			ways[r.Path] = h.way(r.Path)
		}
	}
	for _, c := range d.Channels {
		if filepath.IsAbs(c.Path) {
			ways[c.Path] = h.way(c.Path)
		}
	}
	return ways
}

func (h Host) way(path string) Way {
	var w Way
	if real, err := filepath.EvalSymlinks(filepath.Dir(h.path(path))); err == nil {
		path = filepath.Join("/", strings.TrimPrefix(real, h.Root), filepath.Base(path))
	}
	steps := []string{"/"}
	for i, c := range path {
		if c == '/' && i > 0 {
			steps = append(steps, path[:i])
		}
	}
	for _, step := range append(steps, path) {
		info, err := os.Stat(h.path(step))
		if err != nil {
			w.Err = err
			break
		}
		s := Step{Path: step, Mode: info.Mode()}
		if sys, ok := info.Sys().(*syscall.Stat_t); ok {
			s.UID, s.GID = sys.Uid, sys.Gid
		}
		w.Steps = append(w.Steps, s)
	}
	return w
}

// users finds out who QEMUs run as.
type users struct {
	known map[uint32]User
}

// of gives the user of that number, or where the XML says none, the one that the
// distribution's QEMUs run as.
func (u users) of(uid *uint32) User {
	if uid == nil {
		for _, name := range []string{"libvirt-qemu", "qemu"} { // Debian's, the others'
			if found, err := user.Lookup(name); err == nil {
				if n, err := strconv.ParseUint(found.Uid, 10, 32); err == nil {
					id := uint32(n)
					return u.of(&id)
				}
			}
		}
		return User{Name: "root"} // libvirt's default without a distribution
	}
	if known, is := u.known[*uid]; is {
		return known
	}
	one := User{UID: *uid}
	if found, err := user.LookupId(strconv.FormatUint(uint64(*uid), 10)); err == nil {
		one.Name = found.Username
		groups, _ := found.GroupIds()
		for _, g := range groups {
			if n, err := strconv.ParseUint(g, 10, 32); err == nil {
				one.GIDs = append(one.GIDs, uint32(n))
			}
		}
	}
	u.known[*uid] = one
	return one
}
