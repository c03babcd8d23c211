package vhost

import (
	"encoding/binary"
	"errors"
	"fmt"

	"headgate/kvm/virtq"
)

// handler is what to do for a message.
type handler struct {
	size int // of its payload in bytes; -1: do finds out
	fds  int // at most
	do   func(*device, *message) error
	ask  func(*device, *conn, *message) error // answers it, in place of do
}

// ignored is of messages that mean nothing to this device.
func ignored(*device, *message) error { return nil }

// unlogged refuses what only a migration takes.
func unlogged(*device, *message) error {
	return fmt.Errorf("%w: to %s", errRefused, foreign[0].why)
}

var handlers = map[uint32]handler{
	getFeatures:         {ask: answer(features)},
	getProtocolFeatures: {ask: answer(protocolFeatures)},
	getQueueNum:         {ask: answer(1)},
	setFeatures:         {size: 8, do: (*device).setFeatures},
	setProtocolFeatures: {size: 8, do: ignored}, // needsReply says what is to be known of them
	setOwner:            {do: ignored},
	resetOwner:          {do: (*device).disable},
	setMemTable:         {size: -1, fds: maxDescriptors, do: (*device).setMemTable},
	setLogBase:          {size: -1, fds: 1, do: unlogged},
	setLogFD:            {size: -1, fds: 1, do: unlogged},
	setVringNum:         {size: 8, do: (*device).setVringNum},
	setVringAddr:        {size: 40, do: (*device).setVringAddr},
	setVringBase:        {size: 8, do: (*device).setVringBase},
	getVringBase:        {size: 8, ask: (*device).getVringBase},
	setVringKick:        {size: 8, fds: 1, do: (*device).setVringKick},
	setVringCall:        {size: 8, fds: 1, do: (*device).setVringCall},
	setVringErr:         {size: 8, fds: 1, do: ignored}, // a queue that fails ends the connection
	setVringEnable:      {size: 8, do: (*device).setVringEnable},
}

func answer(v uint64) func(*device, *conn, *message) error {
	return func(_ *device, c *conn, m *message) error { return c.reply64(m.request, v) }
}

func (d *device) setFeatures(m *message) error {
	for _, f := range foreign {
		if m.u64(0)&f.bit != 0 {
			return fmt.Errorf("%w: to %s", errRefused, f.why)
		}
	}
	d.features = m.u64(0)
	return nil
}

func (d *device) disable(*message) error {
	d.ring.enabled = false
	return nil
}

func (d *device) setMemTable(m *message) error {
	table, err := m.table()
	if err != nil {
		return err
	}
	d.memory.unmap()
	d.memory = nil
	d.memory, err = mapMemory(table, m.fds)
	return err
}

// errQueue is of a second queue: the device has one (virtio 1.2, section 5.4.2).
var errQueue = errors.New("the device has queue 0 alone")

// state reads a queue's index and a number (vhost-user.rst, "A vring state
// description").
func (m *message) state() (uint32, error) {
	if m.u32(0) != 0 {
		return 0, errQueue
	}
	return m.u32(4), nil
}

func (d *device) setVringNum(m *message) error {
	n, err := m.state()
	if err == nil && n > virtq.MaxSize {
		err = fmt.Errorf("a queue of %d, at most %d is possible", n, virtq.MaxSize)
	}
	if err == nil {
		d.ring.size = uint16(n)
	}
	return err
}

// setVringAddr reads index, flags, and four addresses: descriptors, used ring,
// available ring, log (vhost-user.rst, "A vring address description").
func (d *device) setVringAddr(m *message) error {
	flags, err := m.state()
	if err != nil {
		return err
	}
	if flags != 0 { // VHOST_VRING_F_LOG is the one that there is
		return unlogged(d, m)
	}
	d.ring.desc, d.ring.used, d.ring.avail, d.ring.placed = m.u64(8), m.u64(16), m.u64(24), true
	return nil
}

func (d *device) setVringBase(m *message) error {
	n, err := m.state()
	if err == nil {
		d.ring.base = uint16(n)
	}
	return err
}

// getVringBase stops the ring until the next kick descriptor comes.
func (d *device) getVringBase(c *conn, m *message) error {
	if _, err := m.state(); err != nil {
		return err
	}
	d.halt()
	r := &d.ring
	r.kick.close()
	r.kick, r.begun = nil, false
	return c.reply(m.request, binary.LittleEndian.AppendUint64(nil, uint64(r.base)<<32)...)
}

// noDescriptor says that none comes with the message (vhost-user.rst,
// VHOST_USER_VRING_NOFD_MASK).
const noDescriptor = 1 << 8

// event takes the eventfd of a queue; -1: there is none.
func (m *message) event() (int, error) {
	if m.u64(0)&^noDescriptor != 0 {
		return -1, errQueue
	}
	none := len(m.fds) == 0
	if none != (m.u64(0)&noDescriptor != 0) {
		return -1, errors.New("a descriptor was promised, or came with it, and not both")
	}
	if none {
		return -1, nil
	}
	if err := checkEvent(m.fds[0]); err != nil {
		return -1, err
	}
	return m.take(), nil
}

func (d *device) setVringKick(m *message) error {
	fd, err := m.event()
	if err != nil {
		return err
	}
	d.ring.kick.close()
	d.ring.kick = nil
	if fd < 0 {
		return errors.New("the queue would have to be polled: give it a kick descriptor")
	}
	d.ring.kick, err = newKick(fd)
	return err
}

func (d *device) setVringCall(m *message) error {
	fd, err := m.event()
	if err != nil {
		return err
	}
	d.ring.call.close()
	d.ring.call, d.ring.untold = call(fd), true
	return nil
}

func (d *device) setVringEnable(m *message) error {
	n, err := m.state()
	if err == nil {
		d.ring.enabled = n != 0
	}
	return err
}
