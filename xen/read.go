package xen

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"headgate/xen/vchan"
	"headgate/xen/xenstore"
)

// Bounds of what is kept of xenstore's texts.
const (
	maxName    = 255 // bytes of a domain's name
	maxValue   = 128 // bytes of a policy's class, rate or weight
	maxUnknown = 16
	maxClip    = 64 // bytes of somebody's text in a message
)

// domidReserved is the first number that is no domain's: DOMID_FIRST_RESERVED of
// xen/include/public/xen.h.
const domidReserved = 0x7ff0

// reader reads what there is of a domain. What xenstored refuses to tell is not
// there; after an error nothing is known.
type reader struct {
	conn *xenstore.Conn
	own  uint16 // the domain that this is
}

func newReader(conn *xenstore.Conn) (reader, error) {
	r := reader{conn: conn}
	text, _, err := r.read("domid") // of xen-init-dom0
	if own, ok := parseID(text); ok {
		r.own = own
	}
	return r, err
}

// hard returns err if it says nothing of what was asked for, else nil: the connection is
// lost, or xenstored has no memory for an answer. Who took that for a domain without a
// UUID would end the ring of another.
func (r reader) hard(err error) error {
	if err != nil && (r.conn.Err() != nil || errors.Is(err, syscall.ENOMEM)) {
		return err
	}
	return nil
}

func (r reader) read(path string) (value string, there bool, err error) {
	value, err = r.conn.Read(path)
	return value, err == nil, r.hard(err)
}

// ids are the domains of this host that may be fed: neither domain 0 nor this one.
func (r reader) ids() ([]uint16, error) {
	names, err := r.conn.List("/local/domain")
	if err != nil {
		return nil, err
	}
	ids := make([]uint16, 0, len(names))
	for _, name := range names {
		if id, ok := parseID(name); ok && id != 0 && id != r.own {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// parseID reads the number of a domain as xenstore writes it.
func parseID(s string) (uint16, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil && n < domidReserved && strconv.FormatUint(n, 10) == s
}

func place(id uint16) string    { return "/local/domain/" + strconv.Itoa(int(id)) }
func ringPath(id uint16) string { return place(id) + "/" + RingPath }

// domain reads all there is of a domain; there: it exists. Its offer has no
// generation yet.
func (r reader) domain(id uint16) (d Domain, there bool, err error) {
	_, err = r.conn.Read(place(id))
	if there = !errors.Is(err, fs.ErrNotExist); !there {
		return d, false, nil
	}
	if err = r.hard(err); err != nil {
		return d, there, err
	}
	d.ID = id
	name, err := r.believed(id, "name")
	if err != nil {
		return d, there, err
	}
	d.Name = cleanName(name)
	vm, err := r.believed(id, "vm")
	if err != nil {
		return d, there, err
	}
	d.UUID, _ = parseUUID(strings.TrimPrefix(vm, "/vm/"))
	if d.Policy, err = r.policy(d.UUID); err != nil {
		if r.hard(err) != nil {
			return d, there, err
		}
		d.Policy = new(Policy) // there is one
		d.Policy.unknown("what cannot be read: %v", err)
	}
	d.Offer, err = r.offer(id)
	return d, there, err
}

// believed reads a node of a domain, if nobody but domain 0 can have written it.
func (r reader) believed(id uint16, node string) (string, error) {
	path := place(id) + "/" + node
	perms, err := r.conn.Perms(path)
	if err != nil || !trusted(perms, id) {
		return "", r.hard(err)
	}
	value, _, err := r.read(path)
	return value, err
}

// trusted says whether a node of that domain can be written neither by it nor by
// other guests. The first entry is the owner, who may always write, with what
// everybody else may do (docs/misc/xenstore.txt, SET_PERMS).
func trusted(perms []xenstore.Perm, id uint16) bool {
	if len(perms) == 0 || perms[0].Domain == id {
		return false
	}
	for i, p := range perms {
		writes := p.Access == xenstore.WriteOnly || p.Access == xenstore.Both
		if writes && (i == 0 || p.Domain != 0) {
			return false
		}
	}
	return true
}

// offer reads what a guest offers. It may write anything there; what makes no sense is
// no offer.
func (r reader) offer(id uint16) (*Offer, error) {
	o, err := vchan.ReadOffer(r.conn, ringPath(id))
	if err != nil {
		return nil, r.hard(err)
	}
	return &Offer{Domain: id, Offer: o}, nil
}

// policy reads what domain 0 has written for a domain. An error that is not a hard one
// says that there is a policy, and that it changes too fast to be read.
func (r reader) policy(uuid string) (*Policy, error) {
	if uuid == "" {
		return nil, nil
	}
	path := PolicyPath + "/" + uuid
	nodes, err := r.conn.List(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p := new(Policy)
	for _, node := range nodes {
		to := p.node(node)
		if to == nil {
			p.unknown("node %q", clip(node))
			continue
		}
		value, _, err := r.read(path + "/" + node)
		if err != nil {
			return nil, err
		}
		if len(value) > maxValue {
			p.unknown("node %q with %d bytes", node, len(value))
			continue
		}
		*to = value
	}
	return p, nil
}

// node is where the value of that node goes; nil: nowhere.
func (p *Policy) node(name string) *string {
	switch name {
	case "class":
		return &p.Class
	case "rate":
		return &p.Rate
	case "weight":
		return &p.Weight
	}
	return nil
}

func (p *Policy) unknown(format string, args ...any) {
	if len(p.Unknown) < maxUnknown {
		p.Unknown = append(p.Unknown, fmt.Sprintf(format, args...))
	}
}

// cleanName returns a name that can be shown; "": it cannot.
func cleanName(s string) string {
	if len(s) > maxName || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return ""
	}
	return s
}

// parseUUID reads a UUID with its dashes, and returns it in lower case.
func parseUUID(s string) (string, bool) {
	if len(s) != 36 {
		return "", false
	}
	s = strings.ToLower(s)
	for i, c := range []byte(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		hex := '0' <= c && c <= '9' || 'a' <= c && c <= 'f'
		if dash != (c == '-') || !dash && !hex {
			return "", false
		}
	}
	return s, true
}

// clip bounds somebody's text to what fits in a message.
func clip(s string) string {
	if len(s) <= maxClip {
		return s
	}
	n := maxClip
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
