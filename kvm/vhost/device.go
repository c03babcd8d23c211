package vhost

import (
	"context"
	"errors"
	"fmt"

	"headgate/kvm/virtq"
)

// Features that are offered (virtio 1.2, section 6; vhost-user.rst for the last).
const (
	featureIndirect = 1 << 28 // VIRTIO_F_INDIRECT_DESC
	featureEventIdx = 1 << 29 // VIRTIO_F_EVENT_IDX
	featureProtocol = 1 << 30 // VHOST_USER_F_PROTOCOL_FEATURES
	featureVersion1 = 1 << 32 // VIRTIO_F_VERSION_1

	features = featureIndirect | featureEventIdx | featureProtocol | featureVersion1
)

// protocolFeatures has VHOST_USER_PROTOCOL_F_REPLY_ACK alone. CONFIGURE_MEM_SLOTS is
// not in it: QEMU 7.2 does not send the memory again then when it is connected anew.
const protocolFeatures = 1 << 3

// foreign are features that change what a queue means. QEMU lets a guest have what was
// not offered, so that they have to be refused.
var foreign = []struct {
	bit uint64
	why string
}{
	{1 << 26, "log what it writes for a migration (VHOST_F_LOG_ALL): a guest with this device is not to be migrated"},
	{1 << 33, "translate addresses (VIRTIO_F_ACCESS_PLATFORM): take iommu_platform=on off the device"},
	{1 << 34, "use a packed queue (VIRTIO_F_RING_PACKED): take packed=on off the device"},
}

// device is the state of a device, from the connection of a front end to its end. All
// of it is for the goroutine that receives messages; the worker has copies.
type device struct {
	*Server
	ctx  context.Context
	fail context.CancelCauseFunc // the first call ends the connection

	features uint64
	memory   *memory
	ring     ring
	bell     *bell
	worker   *worker // nil: the ring does not run
}

// ring is what the front end has said of the one queue.
type ring struct {
	size              uint16
	desc, avail, used uint64 // user addresses
	base              uint16 // of the next chain, while no worker runs
	placed            bool   // the three addresses are known
	enabled           bool   // SET_VRING_ENABLE
	begun             bool   // its guest has been a newcomer
	kick              *kick  // nil: it is stopped
	call              call
	// untold is that the front end has named call since a worker ran. There may be an
	// answer that it was not called for: the one named before is not heard any more
	// (QEMU's, of an interrupt that was masked), or hostd died between the two.
	untold bool
}

func newDevice(ctx context.Context, s *Server, fail context.CancelCauseFunc) *device {
	if s.Count == nil {
		s = &Server{Tap: s.Tap, Count: new(Counters)}
	}
	return &device{Server: s, ctx: ctx, fail: fail, ring: ring{call: -1}, bell: takeBell()}
}

// attend obeys the front end's messages until one cannot be obeyed. The ring stands
// still meanwhile, for what it runs on is what they change.
func (d *device) attend(c *conn) error {
	for {
		m, err := c.receive()
		if err != nil {
			return broken(err)
		}
		h, known := handlers[m.request]
		switch {
		case !known:
			return fmt.Errorf("message %d is not known", m.request)
		case h.size >= 0 && len(m.payload) != h.size:
			return fmt.Errorf("message %d has %d bytes, and not %d", m.request, len(m.payload), h.size)
		case len(m.fds) > h.fds:
			return fmt.Errorf("message %d came with %d descriptors, at most %d go with it", m.request, len(m.fds), h.fds)
		}
		if h.ask != nil {
			err = h.ask(d, c, m)
		} else {
			err = d.obey(h, c, m)
		}
		if err != nil {
			return broken(err)
		}
		c.discard()
	}
}

// errRefused is of what the device does not do, and the front end need not rely on.
var errRefused = errors.New("refused")

// obey has a message change the device, and says how that went if it is to.
func (d *device) obey(h handler, c *conn, m *message) error {
	d.halt()
	err := h.do(d, m)
	var said error
	if m.needsReply() {
		failed := uint64(0)
		if err != nil {
			failed = 1
		}
		said = c.reply64(m.request, failed)
		if errors.Is(err, errRefused) {
			err = nil // the front end knows
		}
	}
	if err != nil {
		return fmt.Errorf("message %d: %w", m.request, err)
	}
	if said != nil {
		return said
	}
	d.resume()
	return nil
}

// halt has the ring stand still, where it is.
func (d *device) halt() {
	if d.worker != nil {
		d.ring.base = d.worker.halt()
		d.worker = nil
	}
}

// resume has the ring go on, if all is there that it takes. The queue is looked at
// then, kicked or not: a kick may have come while nobody looked.
func (d *device) resume() {
	r := &d.ring
	// Without the protocol features a ring is enabled as it starts (vhost-user.rst,
	// "Ring states").
	if r.kick == nil || d.memory == nil || !r.placed || r.size == 0 || !r.enabled && d.features&featureProtocol != 0 {
		return
	}
	if !r.begun {
		r.begun = true
		d.Tap.Fresh() // its driver has started: the guest has booted, or the device was reset
	}
	d.worker = &worker{
		tap: d.Tap, count: d.Count, memory: d.memory, kick: r.kick, call: r.call, bell: d.bell, tell: r.untold,
		layout: virtq.Layout{
			Size: r.size, Desc: r.desc, Avail: r.avail, Used: r.used,
			Next: r.base, EventIdx: d.features&featureEventIdx != 0,
		},
	}
	r.untold = false
	d.worker.begin(d.ctx, d.fail)
}

// close gives back what the device holds.
func (d *device) close() {
	d.halt()
	d.ring.kick.close()
	d.ring.call.close()
	d.bell.give()
	d.memory.unmap()
}
