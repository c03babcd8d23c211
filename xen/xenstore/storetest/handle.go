package storetest

import (
	"regexp"
	"strconv"
	"strings"
)

// enum xsd_sockmsg_type, xs_wire.h.
const (
	opDirectory uint32 = iota + 1
	opRead
	opGetPerms
	opWatch
	opUnwatch
	opTransactionStart
	opTransactionEnd
	opIntroduce
	opRelease
	opGetDomainPath
	opWrite
	opMkdir
	opRemove
	opSetPerms
	opWatchEvent
	opError

	opDirectoryPart uint32 = 21
)

var (
	legal    = regexp.MustCompile(`^(/|(/[A-Za-z0-9_@-]+)+|@[A-Za-z0-9]+)$`)
	legalAcl = regexp.MustCompile(`^[nrwb][0-9]{1,5}$`)
)

const ok = "OK\x00"

// handle answers one request.
func (ses *session) handle(m message, payload []byte) (string, error) {
	s := string(payload)
	switch m.Type {
	case opTransactionStart:
		if m.Tx != 0 || s != "\x00" {
			return "", refused("EINVAL")
		}
		return ses.begin() + "\x00", nil
	case opTransactionEnd:
		if s != "T\x00" && s != "F\x00" {
			return "", refused("EINVAL")
		}
		return ok, ses.end(m.Tx, s[0] == 'T')
	case opGetDomainPath:
		id, err := strconv.ParseUint(strings.TrimSuffix(s, "\x00"), 10, 16)
		if err != nil || !strings.HasSuffix(s, "\x00") {
			return "", refused("EINVAL")
		}
		return home(uint16(id)) + "\x00", nil
	}

	given, rest, whole := strings.Cut(s, "\x00")
	path := ses.absolute(given)
	if !whole || !legal.MatchString(path) {
		return "", refused("EINVAL")
	}
	if m.Type == opWatch || m.Type == opUnwatch {
		token, extra, whole := strings.Cut(rest, "\x00")
		switch {
		case !whole || extra != "":
			return "", refused("EINVAL")
		case m.Type == opWatch:
			return ok, ses.watch(given, token)
		}
		return ok, ses.unwatch(given, token)
	}
	return ses.node(m, path, rest)
}

// node answers a request about one node, in a transaction or not.
func (ses *session) node(m message, path, rest string) (string, error) {
	st := step{op: m.Type, path: path, domid: ses.domid}
	view := ses.store.tree
	x := ses.transactions[m.Tx]
	if m.Tx != 0 {
		if x == nil {
			return "", refused("ENOENT")
		}
		view = x.view
		x.touch(st)
	}
	n, there := view[path]

	switch m.Type {
	case opRead, opDirectory, opGetPerms, opDirectoryPart:
		if ses.store.short[path] {
			return "", refused("ENOMEM")
		}
		if !there {
			return "", refused("ENOENT")
		}
	}
	switch m.Type {
	case opRead:
		return n.value, nil
	case opDirectory:
		list := joined(n.children)
		if len(list) > most {
			return "", refused("E2BIG")
		}
		return list, nil
	case opDirectoryPart:
		return n.part(rest)
	case opGetPerms:
		return joined(n.perms), nil
	case opWrite:
		st.value = rest
	case opSetPerms:
		st.perms = strings.Split(strings.TrimSuffix(rest, "\x00"), "\x00")
		for _, p := range st.perms {
			if !legalAcl.MatchString(p) {
				return "", refused("EINVAL")
			}
		}
	case opMkdir, opRemove:
		if rest != "" {
			return "", refused("EINVAL")
		}
	default:
		return "", refused("ENOSYS")
	}
	if x != nil {
		return ok, x.do(st, ses.store.next)
	}
	return ok, ses.store.apply(st)
}

// part is as much of the list of children as one payload holds, whole names, with an
// empty one behind the last.
func (n node) part(offset string) (string, error) {
	at, err := strconv.Atoi(strings.TrimSuffix(offset, "\x00"))
	if err != nil || at < 0 {
		return "", refused("EINVAL")
	}
	list := joined(n.children)
	list = list[min(at, len(list)):]
	head := strconv.FormatUint(n.generation, 10) + "\x00"
	if room := most - len(head) - 1; len(list) > room {
		return head + list[:strings.LastIndexByte(list[:room], 0)+1], nil
	}
	return head + list + "\x00", nil
}

func joined(list []string) string {
	var b strings.Builder
	for _, s := range list {
		b.WriteString(s + "\x00")
	}
	return b.String()
}
