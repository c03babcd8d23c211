package libvirt

import (
	"encoding/xml"
	"errors"
	"slices"
)

// memory is what a domain's XML says of where its memory is. Of what it has once, the
// first counts.
type memory struct {
	access, source *string  // nil: it does not say
	huge           bool     // it is of huge pages
	cells          []string // memAccess of each NUMA cell; empty where it has none
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if (a.Name == xml.Name{Local: name}) {
			return a.Value
		}
	}
	return ""
}

// takeBacking reads a <memoryBacking>.
func (m *memory) takeBacking(doc *document) (end int64, err error) {
	return doc.each(func(e xml.StartElement, _ int64) error {
		switch {
		case plain(e, "access") && m.access == nil:
			mode := attribute(e, "mode")
			m.access = &mode
		case plain(e, "source") && m.source == nil:
			kind := attribute(e, "type")
			m.source = &kind
		case plain(e, "hugepages"):
			m.huge = true
		}
		return doc.dec.Skip()
	})
}

// maxCells bounds the cells that are kept; they are judged alike.
const maxCells = 1024

// takeCPU reads the cells of a <cpu>'s <numa>.
func (m *memory) takeCPU(doc *document) error {
	_, err := doc.each(func(e xml.StartElement, _ int64) error {
		if !plain(e, "numa") {
			return doc.dec.Skip()
		}
		_, err := doc.each(func(e xml.StartElement, _ int64) error {
			if plain(e, "cell") && (len(m.cells) < maxCells || !slices.Contains(m.cells, attribute(e, "memAccess"))) {
				m.cells = append(m.cells, attribute(e, "memAccess"))
			}
			return doc.dec.Skip()
		})
		return err
	})
	return err
}

// shared tells whether others than QEMU can get at the memory: all of it, as libvirt
// wants it for its own vhost-user devices
// (qemuValidateDomainDeviceDefVhostUserRequireSharedMemory, qemu_validate.c).
func (m *memory) shared() bool {
	all := m.access != nil && *m.access == "shared"
	if len(m.cells) == 0 {
		return all
	}
	return !slices.ContainsFunc(m.cells, func(access string) bool { return access != "shared" && (access != "" || !all) })
}

var (
	errPrivate = errors.New("its XML says that its memory is not to be shared (mode or memAccess is not 'shared'), which a vhost-user device needs: change that first")
	errNoFile  = errors.New("its <memoryBacking> has a <source> of type 'anonymous', which nobody can be given: change that to 'memfd' first")
)

// missing gives the elements that <memoryBacking> lacks for the memory to be shared.
// Without a source, libvirt would have it in a file on a disk (memory_backing_dir,
// qemu.conf).
func (m *memory) missing() (elements []string, err error) {
	switch {
	case m.access != nil && *m.access != "shared" && !m.shared(),
		slices.ContainsFunc(m.cells, func(access string) bool { return access != "" && access != "shared" }):
		return nil, errPrivate
	case m.source != nil && *m.source == "anonymous":
		return nil, errNoFile
	}
	if m.source == nil && !m.huge {
		elements = append(elements, memfd)
	}
	if m.access == nil {
		elements = append(elements, shared)
	}
	return elements, nil
}
