package libvirt

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// vhostPlaces says where in a text things are that a vhost-user-rng device is made of.
type vhostPlaces struct {
	*places
	reader
	backing  element // the first <memoryBacking>
	amount   int64   // behind the amount of memory; 0: none is said
	commands []commands
	slots    [32]bool // those of the root bus that are taken
}

// commands is one <qemu:commandline>.
type commands struct {
	element
	prefix string // of its name, with the colon
	env    int64  // where its first <qemu:env> begins; 0: it has none
	others bool   // it has more than arguments
}

func surveyVhosts(text []byte) (*vhostPlaces, error) {
	at, err := survey(text)
	if err != nil {
		return nil, err
	}
	doc, err := open(text)
	if err != nil {
		return nil, err
	}
	p := &vhostPlaces{places: at, reader: reader{document: doc, text: text}}
	_, err = doc.each(p.take)
	return p, err
}

func (p *vhostPlaces) take(e xml.StartElement, at int64) error {
	switch {
	case plain(e, "memoryBacking"):
		end, err := p.memory.takeBacking(p.document)
		if p.backing.to == 0 {
			p.backing = element{span{at, p.dec.InputOffset()}, end}
		}
		return err
	case plain(e, "cpu"):
		return p.memory.takeCPU(p.document)
	case plain(e, "devices"):
		return p.takeSlots()
	case isCommandline(e):
		return p.takeCommands(at)
	}
	err := p.dec.Skip()
	if plain(e, "memory") || plain(e, "currentMemory") {
		p.amount = p.dec.InputOffset()
	}
	return err
}

func (p *vhostPlaces) takeCommands(at int64) error {
	name := p.reader.text[at+int64(len("<")) : p.dec.InputOffset()]
	name = name[:bytes.IndexAny(name, " \t\r\n/>")]
	c := commands{prefix: string(name[:bytes.LastIndexByte(name, ':')+1])}
	end, err := p.each(func(e xml.StartElement, at int64) error {
		err := p.dec.Skip()
		if value, is := argumentOf(e); is {
			p.arguments = append(p.arguments, argument{span{at, p.dec.InputOffset()}, value})
			return err
		}
		c.others = true
		if (e.Name == xml.Name{Space: QEMUNamespace, Local: "env"}) && c.env == 0 {
			c.env = at
		}
		return err
	})
	c.element = element{span{at, p.dec.InputOffset()}, end}
	p.commands = append(p.commands, c)
	return err
}

// takeSlots notes the slots that libvirt has given to devices.
func (p *vhostPlaces) takeSlots() error {
	_, err := p.each(func(xml.StartElement, int64) error {
		_, err := p.each(func(e xml.StartElement, _ int64) error {
			if plain(e, "address") && attribute(e, "type") == "pci" && number16(attribute(e, "domain")) == 0 && number16(attribute(e, "bus")) == 0 {
				if slot := number16(attribute(e, "slot")); slot < len(p.slots) {
					p.slots[slot] = true
				}
			}
			return p.dec.Skip()
		})
		return err
	})
	return err
}

// number16 reads a part of an address; what is none is 0, as what is not there.
func number16(text string) int {
	n, _ := strconv.ParseUint(text, 0, 16)
	return int(n)
}

// device puts the device in, at a slot and under a name that nobody has yet.
func (p *vhostPlaces) device(socket string) (cut, error) {
	found, err := vhostsIn(p.arguments)
	if err != nil {
		return cut{}, err
	}
	for _, v := range found {
		if v.slot >= 0 {
			p.slots[v.slot] = true
		}
	}
	slot := freeSlot
	for slot > 1 && p.slots[slot] {
		slot--
	}
	id, err := p.freeID()
	if err != nil {
		return cut{}, err
	}
	if len(p.commands) == 0 {
		args, err := vhostArgs(socket, id, slot, "qemu:arg")
		return p.before(p.end, commandline(args)), err
	}
	c := p.commands[0]
	args, err := vhostArgs(socket, id, slot, c.prefix+"arg")
	if c.env > 0 { // the schema wants them last (domaincommon.rng, qemucmdline)
		return p.beside(c.env, args), err
	}
	return p.into(c.element, c.prefix+"commandline", args), err
}

// freeID is a name for a chardev that no argument has in it, nor looks for.
func (p *vhostPlaces) freeID() (string, error) {
	for n := range maxDevices {
		id := fmt.Sprintf("headgate%d", n)
		if !slices.ContainsFunc(p.arguments, func(a argument) bool { return strings.Contains(a.value, id) }) {
			return id, nil
		}
	}
	return "", errors.New("its arguments for QEMU have every name that a chardev of hostd's could have: take some out first")
}

func commandline(args string) string {
	return "<qemu:commandline xmlns:qemu='" + QEMUNamespace + "'>\n" + indent("  ", args) + "\n</qemu:commandline>"
}

// share has the memory be shared.
func (p *vhostPlaces) share() ([]cut, error) {
	elements, err := p.memory.missing()
	switch {
	case err != nil || len(elements) == 0:
		return nil, err
	case p.backing.to > 0:
		return []cut{p.into(p.backing, "memoryBacking", strings.Join(elements, "\n"))}, nil
	}
	whole := "<memoryBacking>\n" + indent("  ", strings.Join(elements, "\n")) + "\n</memoryBacking>"
	if p.amount > 0 {
		return []cut{p.behind(p.amount, whole)}, nil
	}
	return []cut{p.before(p.end, whole)}, nil
}

// without takes out the devices that are at such sockets, with their chardevs, and
// what is left empty by that.
func (p *vhostPlaces) without(at func(socket string) bool) ([]cut, error) {
	found, err := vhostsIn(p.arguments)
	if err != nil {
		return nil, err
	}
	gone := map[int]bool{}
	for _, v := range found {
		if v.Path == "" || !at(v.Path) {
			continue
		}
		for _, i := range []int{v.chardev, v.device} {
			gone[i-1], gone[i] = true, true
		}
	}
	var cuts []cut
	for _, c := range p.commands {
		left, mine := 0, []cut(nil)
		for i, a := range p.arguments {
			switch {
			case a.from < c.from || a.to > c.to:
			case gone[i]:
				mine = append(mine, cut{p.line(a.span), ""})
			default:
				left++
			}
		}
		if left == 0 && len(mine) > 0 && !c.others {
			mine = []cut{{p.line(c.span), ""}}
		}
		cuts = append(cuts, mine...)
	}
	return cuts, nil
}

// line widens a span to its line, if it has that for itself.
func (p *places) line(s span) span {
	margin, alone := p.margin(s.from)
	if alone && bytes.HasPrefix(p.text[s.to:], []byte("\n")) {
		return span{s.from - int64(len(margin)), s.to + 1}
	}
	return s
}
