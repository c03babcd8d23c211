package backends

import (
	"fmt"
	"math"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// identity is whom a command runs as.
type identity struct {
	name       string
	home       string
	credential *syscall.Credential // nil: as hostd itself, which may not choose
}

// whom finds the user for a command: the one that is given, or nobody where hostd is
// root, or else hostd's own. Its supplementary groups go with it, so that a member of
// "audio" may read the sound card.
func whom(given string) (identity, error) {
	self := os.Geteuid()
	name, group, _ := strings.Cut(given, ":")
	if name == "" {
		if self != 0 {
			return own(self), nil
		}
		name = "nobody"
	}
	u, err := user.Lookup(name)
	if err != nil {
		u, err = user.LookupId(name)
	}
	if err != nil {
		return identity{}, fmt.Errorf("user: there is no user %q on this host", name)
	}
	uid, err := number(u.Uid)
	if err != nil {
		return identity{}, err
	}
	if uid == 0 {
		return identity{}, fmt.Errorf("user: %q is root by another name: give the command a user of its own", name)
	}
	gid, err := number(u.Gid)
	if err != nil {
		return identity{}, err
	}
	if group != "" {
		g, err := user.LookupGroup(group)
		if err != nil {
			g, err = user.LookupGroupId(group)
		}
		if err != nil {
			return identity{}, fmt.Errorf("user: there is no group %q on this host", group)
		}
		if gid, err = number(g.Gid); err != nil {
			return identity{}, err
		}
	}
	if int(uid) == self && int(gid) == os.Getegid() {
		return own(self), nil
	}
	if missing := missingCapabilities(); missing != "" {
		return identity{}, fmt.Errorf("user: hostd may not start a command as %q: it lacks %s: "+
			"give it that, or leave out user to run the command as hostd's own user", name, missing)
	}
	as := identity{name: u.Username, home: u.HomeDir, credential: &syscall.Credential{Uid: uid, Gid: gid}}
	groups, err := u.GroupIds()
	if err != nil {
		return identity{}, fmt.Errorf("user: the groups of %q cannot be found: %w", name, err)
	}
	for _, g := range groups {
		id, err := number(g)
		if err != nil {
			return identity{}, err
		}
		as.credential.Groups = append(as.credential.Groups, id)
	}
	return as, nil
}

func own(uid int) identity {
	as := identity{name: strconv.Itoa(uid), home: "/"}
	if u, err := user.LookupId(as.name); err == nil {
		as.name, as.home = u.Username, u.HomeDir
	}
	return as
}

func number(id string) (uint32, error) {
	n, err := strconv.ParseUint(id, 10, 32)
	if err != nil || n == math.MaxUint32 { // which means "leave it" to setresuid(2)
		return 0, fmt.Errorf("user: %q is no id", id)
	}
	return uint32(n), nil
}

// environment is all that a command gets of one.
func (as identity) environment() []string {
	return []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=" + as.home, "USER=" + as.name, "LOGNAME=" + as.name, "LC_ALL=C",
	}
}

// missingCapabilities names what hostd lacks to start a command as another user and to
// end it again, or is "".
func missingCapabilities() string {
	_, sets, err := capabilities()
	if err != nil {
		return err.Error()
	}
	var missing []string
	for _, c := range []struct {
		bit  int
		name string
	}{{unix.CAP_SETUID, "CAP_SETUID"}, {unix.CAP_SETGID, "CAP_SETGID"}, {unix.CAP_KILL, "CAP_KILL"}} {
		if sets[0].Effective&(1<<c.bit) == 0 { // all below 32, so in the first
			missing = append(missing, c.name)
		}
	}
	return strings.Join(missing, ", ")
}

// capabilities returns those of the calling thread.
func capabilities() (header unix.CapUserHeader, sets [2]unix.CapUserData, err error) {
	header = unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return header, sets, fmt.Errorf("read the capabilities of hostd: %w", err)
	}
	return header, sets, nil
}

// renounce has what the calling thread executes from now on gain nothing by it: no
// set-user-ID program and no file's capabilities (prctl(2), PR_SET_NO_NEW_PRIVS), none
// of what hostd's service manager gave it to pass on. A thread that need not change to
// another user gives up what it has itself. It can never be undone.
func renounce(as identity) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("renounce privileges: %w", err)
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("renounce ambient capabilities: %w", err)
	}
	header, sets, err := capabilities()
	if err != nil {
		return err
	}
	for i := range sets {
		sets[i].Inheritable = 0
		if as.credential == nil {
			sets[i].Effective, sets[i].Permitted = 0, 0
		}
	}
	// A service manager's filter may refuse it, and without it an execve gives nothing
	// either, once nothing is ambient and nothing new is to be had.
	_ = unix.Capset(&header, &sets[0])
	return nil
}
