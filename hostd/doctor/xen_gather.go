package doctor

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"headgate/hostd/control"
	"headgate/xen"
	"headgate/xen/xenstore"
)

// XenHost is where the facts are.
type XenHost struct {
	Root    string // before every path that is looked at; "" but in tests
	Control string // socket of hostd, as it is to be called
	Only    string // the one domain that is asked for; "": all

	Now      func() time.Time
	Status   func(context.Context) (control.Status, error) // asks hostd
	Dom0     func() error                                  // says why this is no dom0
	Store    *xenstore.Conn                                // nil: StoreErr says why
	Where    string                                        // where that is; "": where it usually is
	StoreErr error
}

// GatherXen looks at everything once.
func GatherXen(ctx context.Context, h XenHost) XenFacts {
	root := Host{Root: h.Root}
	f := XenFacts{Now: h.Now(), Hostd: Hostd{Control: h.Control}, Only: h.Only, Store: Store{Where: h.Where, Err: h.StoreErr}}
	f.Hostd.Status, f.Hostd.Err = h.Status(ctx)
	if f.Hostd.Err == nil {
		f.User = root.runsAs(f.Hostd.Status.PID)
	}
	if h.Where == "" { // else somebody knows better
		f.Dom0 = h.Dom0()
	}
	for _, d := range []Device{{Path: "/dev/xen/evtchn", Module: "xen-evtchn"}, {Path: "/dev/xen/gntdev", Module: "xen-gntdev"}} {
		d.Way = root.way(d.Path)
		f.Devices = append(f.Devices, d)
	}
	if h.Store != nil {
		f.Domains, f.Store.Err = h.domains(root)
		f.Strays = f.strays(root)
	}
	return f
}

func (h XenHost) domains(root Host) ([]XenDomain, error) {
	found, err := xen.Domains(h.Store)
	if err != nil {
		return nil, err
	}
	var all []XenDomain
	for _, d := range found {
		if d.ID == 0 || h.Only != "" && !d.Is(h.Only) {
			continue
		}
		one := XenDomain{Domain: d, Ways: map[string]Way{}}
		if one.Channels, err = Channels(h.Store, d.ID); err != nil {
			return nil, err
		}
		for _, c := range one.Channels {
			if strings.HasPrefix(c.Path, "/") {
				one.Ways[c.Path] = root.way(c.Path)
			}
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b XenDomain) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return int(a.ID) - int(b.ID)
	})
	return all, nil
}

// strays are the channel pipes whose sockets no domain has, if all were asked for.
func (f XenFacts) strays(root Host) (found []Stray) {
	if f.Only != "" {
		return nil
	}
	for _, g := range f.Hostd.Status.Guests {
		for _, p := range g.Pipes {
			if p.Kind == "channel" && !p.Connected && !slices.ContainsFunc(f.Domains, func(d XenDomain) bool { _, has := d.Ways[p.Path]; return has }) {
				found = append(found, Stray{Guest: g.Name, Path: p.Path, Way: root.way(p.Path)})
			}
		}
	}
	return found
}

// runsAs reads who a process is from its status (proc(5): real, effective, saved and of file systems); nil: it cannot be seen.
func (h Host) runsAs(pid int) *User {
	var u *User
	lines := bufio.NewScanner(strings.NewReader(h.read("/proc/" + strconv.Itoa(pid) + "/status")))
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), ":")
		fields := strings.Fields(value)
		switch {
		case key == "Uid" && len(fields) == 4:
			if n, err := strconv.ParseUint(fields[1], 10, 32); err == nil { // the effective one
				u = &User{UID: uint32(n)}
				if one, err := user.LookupId(fields[1]); err == nil {
					u.Name = one.Username
				}
			}
		case (key == "Gid" && len(fields) == 4 || key == "Groups") && u != nil:
			if key == "Gid" {
				fields = fields[1:2]
			}
			for _, field := range fields {
				if n, err := strconv.ParseUint(field, 10, 32); err == nil {
					u.GIDs = append(u.GIDs, uint32(n))
				}
			}
		}
	}
	return u
}

func number(id uint16) string { return strconv.FormatUint(uint64(id), 10) }

// absentIsNil lets what has gone meanwhile count as having been nothing.
func absentIsNil(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
