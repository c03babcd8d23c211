package vhosttest

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

var errHungUp = errors.New("the device has hung up")

// Start sets the device up and starts its ring, with the messages that QEMU 7.2
// sends, in their order. After the first time it leaves those out that QEMU does not
// send again (SET_PROTOCOL_FEATURES, SET_OWNER), and after a hang-up it rewinds the
// ring to the used index.
func (f *Front) Start(ctx context.Context) error {
	f.mu.Lock()
	conn := f.conn
	f.mu.Unlock()
	if conn.UnixConn == nil {
		return errHungUp
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	err := f.setUp()
	if err == nil {
		err = f.StartRing()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func (f *Front) setUp() error {
	offered, err := f.Get(GetFeatures, nil)
	if err != nil {
		return err
	}
	f.offered = offered
	if !f.known {
		if offered&FeatureProtocolFeatures != 0 {
			protocol, err := f.Get(GetProtocolFeatures, nil)
			if err != nil {
				return err
			}
			if err := f.Set(SetProtocolFeatures, Longs(protocol&(ProtocolMQ|ProtocolReplyAck|ProtocolConfigureMemSlots))); err != nil {
				return err
			}
			f.acks = protocol&ProtocolReplyAck != 0
			for _, more := range []struct {
				bit uint64
				ask Request
			}{{ProtocolMQ, GetQueueNum}, {ProtocolConfigureMemSlots, GetMaxMemSlots}} {
				if protocol&more.bit == 0 {
					continue
				}
				if _, err := f.Get(more.ask, nil); err != nil {
					return err
				}
			}
		}
		if err := f.Set(SetOwner, nil); err != nil {
			return err
		}
		if _, err := f.Get(GetFeatures, nil); err != nil {
			return err
		}
		f.known = true
	}
	if err := f.Set(SetVringCall, Longs(0), f.masked); err != nil {
		return err
	}
	return f.Set(SetVringErr, Longs(0), f.failed)
}

// StartRing begins the ring of a device that has been set up, or was stopped.
func (f *Front) StartRing() error {
	if err := f.Set(SetVringCall, Longs(0), f.masked); err != nil {
		return err
	}
	if err := f.Set(SetFeatures, Longs(f.features())); err != nil {
		return err
	}
	if err := f.SetMemTable(f.Region()); err != nil {
		return err
	}
	if err := f.Set(SetVringNum, Words(0, uint32(f.Size))); err != nil {
		return err
	}
	if !f.stopped {
		f.base = f.UsedIdx()
	}
	if err := f.Set(SetVringBase, Words(0, uint32(f.base))); err != nil {
		return err
	}
	if err := f.Set(SetVringAddr, f.VringAddr()); err != nil {
		return err
	}
	if err := f.Set(SetVringKick, Longs(0), f.kick); err != nil {
		return err
	}
	if err := f.Set(SetVringEnable, Words(0, 1)); err != nil {
		return err
	}
	if err := f.Set(SetVringCall, Longs(0), f.callFD); err != nil {
		return err
	}
	f.stopped = false
	return f.unmask()
}

// features are those that the guest's driver and QEMU agree on. QEMU 7.2 sets the
// ring's, whether the device offers them or not.
func (f *Front) features() uint64 {
	v := uint64(FeatureVersion1) | f.offered&FeatureProtocolFeatures
	if f.opt.EventIdx {
		v |= FeatureEventIdx
	}
	if f.opt.Indirect {
		v |= FeatureIndirect
	}
	return v
}

// Region is the front's memory, as it tells it to the device.
func (f *Front) Region() Region {
	return Region{Guest: GuestBase, Size: uint64(len(f.Memory.Bytes)), User: UserBase, FD: f.Memory.FD}
}

// VringAddr is the payload of SET_VRING_ADDR: index, flags, descriptors, used ring,
// available ring, log.
func (f *Front) VringAddr() []byte {
	return append(Words(0, 0), Longs(UserBase+f.Desc, UserBase+f.Ring.Used, UserBase+f.Avail, 0)...)
}

// unmask passes on what the device said while it was told another eventfd, as QEMU
// does for an interrupt that was masked.
func (f *Front) unmask() error {
	var count [8]byte
	if _, err := unix.Read(f.masked, count[:]); err != nil {
		return nil // nothing was said (EAGAIN)
	}
	return signal(f.callFD)
}

// SetMemTable tells the device where the guest's memory is.
func (f *Front) SetMemTable(regions ...Region) error {
	payload, fds := MemTable(regions...)
	return f.set(SetMemTable, f.acks, payload, fds)
}

// Stop stops the ring, and returns the index at which a next start goes on.
func (f *Front) Stop() (base uint16, err error) {
	if err := f.Set(SetVringEnable, Words(0, 0)); err != nil {
		return 0, err
	}
	state, err := f.Get(GetVringBase, Words(0, 0))
	if err != nil {
		return 0, err
	}
	f.base, f.stopped = uint16(state>>32), true
	return f.base, nil
}

// Get asks for a number.
func (f *Front) Get(request Request, payload []byte) (uint64, error) {
	if err := f.Send(Message{request, Version, payload}.Bytes()); err != nil {
		return 0, fmt.Errorf("request %d: %w", request, err)
	}
	m, err := f.Recv()
	if err != nil {
		return 0, fmt.Errorf("request %d: %w", request, err)
	}
	if m.Request != request || m.Flags != Version|Reply {
		return 0, fmt.Errorf("request %d was answered with %d, flags %#x", request, m.Request, m.Flags)
	}
	return m.U64()
}

// Set tells the device something, and with Options.Ack waits for its answer.
func (f *Front) Set(request Request, payload []byte, fds ...int) error {
	return f.set(request, f.acks && f.opt.Ack, payload, fds)
}

func (f *Front) set(request Request, ack bool, payload []byte, fds []int) error {
	m := Message{request, Version, payload}
	if ack {
		m.Flags |= NeedReply
	}
	if err := f.Send(m.Bytes(), fds...); err != nil {
		return fmt.Errorf("request %d: %w", request, err)
	}
	if !ack {
		return nil
	}
	reply, err := f.Recv()
	if err != nil {
		return fmt.Errorf("request %d: %w", request, err)
	}
	if reply.Request != request || reply.Flags != Version|Reply {
		return fmt.Errorf("request %d was answered with %d, flags %#x", request, reply.Request, reply.Flags)
	}
	code, err := reply.U64()
	if err == nil && code != 0 {
		err = fmt.Errorf("the device refused request %d: %d", request, code)
	}
	return err
}

// Send writes any bytes, and passes any descriptors with them.
func (f *Front) Send(b []byte, fds ...int) error {
	f.mu.Lock()
	conn := f.conn
	f.mu.Unlock()
	if conn.UnixConn == nil {
		return errHungUp
	}
	return conn.Send(b, fds...)
}

// Recv waits for the next message from the device, or for its hanging up.
func (f *Front) Recv() (Message, error) {
	f.mu.Lock()
	answer := f.answer
	f.mu.Unlock()
	if answer == nil {
		return Message{}, errHungUp
	}
	m, ok := <-answer
	if !ok {
		return m, errHungUp
	}
	return m, nil
}
