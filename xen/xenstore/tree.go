package xenstore

import "strconv"

// tree is the tree as a connection sees it, or one of its transactions. Paths are
// absolute, or relative to /local/domain/<own>.
type tree struct {
	conn *Conn
	tx   uint32
	over bool
}

// Read returns the value of a node.
func (t *tree) Read(path string) (string, error) {
	b, err := t.node("read", opRead, path)
	return string(b), err
}

// Write sets the value of a node, and makes it and what is missing above it.
func (t *tree) Write(path, value string) error {
	return t.change("write", opWrite, path, value)
}

// Mkdir makes a node, and what is missing above it, with empty values. One that is
// there stays as it is.
func (t *tree) Mkdir(path string) error { return t.change("mkdir", opMkdir, path) }

// Remove removes a node and all below it. That it is not there is no error, but
// that the node above it is not, is.
func (t *tree) Remove(path string) error { return t.change("remove", opRemove, path) }

// Perms returns who may do what with a node.
func (t *tree) Perms(path string) ([]Perm, error) {
	b, err := t.node("perms", opGetPerms, path)
	if err != nil {
		return nil, err
	}
	perms, ok := parsePerms(b)
	if !ok {
		return nil, &Error{Op: "perms", Path: path, Err: protocolError("permissions")}
	}
	return perms, nil
}

// SetPerms sets who may do what with a node. The first entry names its owner, and
// the access of all that no later entry names.
func (t *tree) SetPerms(path string, perms ...Perm) error {
	if len(perms) == 0 {
		return &Error{Op: "set perms", Path: path, Err: errPerms}
	}
	list := make([]string, len(perms))
	for i, p := range perms {
		if !p.valid() {
			return &Error{Op: "set perms", Path: path, Err: errPerms}
		}
		list[i] = p.String() + nul
	}
	return t.change("set perms", opSetPerms, path, list...)
}

// DomainPath returns where the tree of a domain is, /local/domain/<domid>.
func (c *Conn) DomainPath(domid uint16) (string, error) {
	const name = "domain path"
	id := strconv.FormatUint(uint64(domid), 10)
	b, err := c.ask(opGetDomainPath, 0, id, nul)
	if err != nil {
		return "", &Error{Op: name, Path: id, Err: err}
	}
	path, ok := parseString(b)
	if !ok || checkPath(path) != nil {
		return "", &Error{Op: name, Path: id, Err: protocolError("a path")}
	}
	return path, nil
}

// node sends a request about one node.
func (t *tree) node(name string, op uint32, path string, more ...string) ([]byte, error) {
	b, err := t.ask(op, path, more...)
	if err != nil {
		return nil, &Error{Op: name, Path: path, Err: err}
	}
	return b, nil
}

func (t *tree) ask(op uint32, path string, more ...string) ([]byte, error) {
	if t.over {
		return nil, errOver
	}
	if err := checkPath(path); err != nil {
		return nil, err
	}
	return t.conn.ask(op, t.tx, append([]string{path, nul}, more...)...)
}

// change is node for a request that is answered with OK.
func (t *tree) change(name string, op uint32, path string, more ...string) error {
	b, err := t.node(name, op, path, more...)
	if err != nil {
		return err
	}
	return checkOK(name, path, b)
}

func checkOK(name, path string, b []byte) error {
	if s, ok := parseString(b); !ok || s != "OK" {
		return &Error{Op: name, Path: path, Err: protocolError("no OK")}
	}
	return nil
}
