package guard

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"
)

// Try is one inet socket that was refused.
type Try struct {
	Family   string // inet or inet6
	Type     string // stream, dgram, raw, or a number
	Protocol string // tcp, udp and so on, or a number
	Process  string // the name of the thread (comm)
	PID      int    // by the host's numbers
}

// Watch calls tried with each refused socket, until ctx ends; then it returns nil. After
// Close it returns os.ErrClosed. What comes while nobody watches is kept, up to some
// hundred tries; what is more is in the counts alone.
func (g *Guard) Watch(ctx context.Context, tried func(Try)) error {
	defer context.AfterFunc(ctx, func() { _ = g.tries.Flush() })() // closed: Read has said so

	var record ringbuf.Record
	for ctx.Err() == nil {
		err := g.tries.ReadInto(&record)
		switch {
		case errors.Is(err, ringbuf.ErrFlushed):
			continue // this context's end, or that of a Watch before
		case err != nil:
			return fmt.Errorf("network guard: watch: %w", err)
		}
		t, err := parse(record.RawSample)
		if err != nil {
			return fmt.Errorf("network guard: watch: %w", err)
		}
		tried(t)
	}
	return nil
}

// parse reads a struct try of guard.c.
func parse(record []byte) (Try, error) {
	var t programTry
	if _, err := binary.Decode(record, binary.LittleEndian, &t); err != nil {
		return Try{}, fmt.Errorf("a record of %d bytes: %w", len(record), err)
	}
	return Try{
		Family:   familyName(t.Family),
		Type:     typeName(t.Type),
		Protocol: protocolName(t.Protocol),
		Process:  text(t.Comm[:]),
		PID:      int(t.Tgid),
	}, nil
}

func familyName(family uint32) string {
	return name(family, map[uint32]string{
		unix.AF_INET: "inet", unix.AF_INET6: "inet6", unix.AF_PACKET: "packet", unix.AF_VSOCK: "vsock",
		unix.AF_TIPC: "tipc", unix.AF_BLUETOOTH: "bluetooth", unix.AF_CAN: "can", unix.AF_SMC: "smc",
		unix.AF_RDS: "rds", unix.AF_XDP: "xdp", unix.AF_ALG: "alg",
	})
}

func typeName(kind uint32) string {
	return name(kind, map[uint32]string{
		unix.SOCK_STREAM: "stream", unix.SOCK_DGRAM: "dgram", unix.SOCK_RAW: "raw",
		unix.SOCK_SEQPACKET: "seqpacket", unix.SOCK_DCCP: "dccp",
	})
}

func protocolName(protocol uint32) string {
	return name(protocol, map[uint32]string{
		unix.IPPROTO_ICMP: "icmp", unix.IPPROTO_TCP: "tcp", unix.IPPROTO_UDP: "udp",
		unix.IPPROTO_ICMPV6: "icmpv6", unix.IPPROTO_SCTP: "sctp", unix.IPPROTO_UDPLITE: "udplite",
		unix.IPPROTO_RAW: "raw", unix.IPPROTO_MPTCP: "mptcp",
	})
}

func name(number uint32, names map[uint32]string) string {
	if known, is := names[number]; is {
		return known
	}
	return strconv.FormatUint(uint64(number), 10)
}
