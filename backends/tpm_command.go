package backends

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-tpm/tpm2"
)

// do runs one command, again and again while the TPM says that it cannot begin it yet,
// until it has no patience left. The kernel's driver does so itself; over a socket
// nobody else does.
func (s *tpmStream) do(patience time.Duration, command func() error) error {
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	s.command = ctx
	var busy error // its last answer
	silent := func() error {
		if busy != nil {
			return fmt.Errorf("%w but this within %v: %w", errTPMSilent, patience, busy)
		}
		return fmt.Errorf("%w within %v", errTPMSilent, patience)
	}
	for pause := 20 * time.Millisecond; ; pause *= 2 { // TPM2_DURATION_SHORT in drivers/char/tpm/tpm.h
		err := command()
		switch {
		case err == nil:
			return nil
		case isBusy(err):
			busy = err
		case ctx.Err() != nil, errors.Is(err, os.ErrDeadlineExceeded): // which a dial may see first
			return silent()
		case s.answered && !errors.As(err, new(tpm2.TPMRC)):
			return fmt.Errorf("%w: %w", errTPMNonsense, err)
		default:
			return err
		}
		select {
		case <-ctx.Done():
			return silent()
		case <-time.After(pause):
		}
	}
}

func isBusy(err error) bool {
	return errors.Is(err, tpm2.TPMRCRetry) || errors.Is(err, tpm2.TPMRCYielded) || errors.Is(err, tpm2.TPMRCTesting) ||
		errors.Is(err, syscall.EAGAIN) // as many wait to connect as may
}

// Send takes one command to the TPM and brings its response, which is good until the
// next one.
func (s *tpmStream) Send(command []byte) ([]byte, error) {
	n, err := s.carrier.exchange(s.command, command, s.response[:])
	if s.answered = err == nil; err != nil {
		return nil, err
	}
	switch tag := tpm2.TPMST(binary.BigEndian.Uint16(s.response[:])); tag {
	case tpm2.TPMSTNoSessions:
		return s.response[:n], nil
	case tpm2.TPMSTRspCommand: // TPM 2.0 Library Part 2 §6.9
		s.answered = false
		return nil, errTPM12
	default:
		return nil, fmt.Errorf("a response is tagged %#04x", uint16(tag))
	}
}

// identify asks who the TPM is, which also shows that it is one, of version 2.0, and
// answers.
func (s *tpmStream) identify(patience time.Duration) (driver, detail string, err error) {
	var answer *tpm2.GetCapabilityResponse
	err = s.do(patience, func() (err error) {
		answer, err = tpm2.GetCapability{
			Capability:    tpm2.TPMCapTPMProperties,
			Property:      uint32(tpm2.TPMPTManufacturer),
			PropertyCount: uint32(tpm2.TPMPTFirmwareVersion1 - tpm2.TPMPTManufacturer + 1),
		}.Execute(s)
		return err
	})
	if err != nil {
		return "", "", err
	}
	properties, err := answer.CapabilityData.Data.TPMProperties()
	if err != nil {
		return "", "", fmt.Errorf("%w: %w", errTPMNonsense, err)
	}
	var vendor []byte
	maker, firmware := "TPM", uint32(0)
	for _, p := range properties.TPMProperty[:min(len(properties.TPMProperty), 16)] {
		switch {
		case p.Property == tpm2.TPMPTManufacturer:
			maker = printable(binary.BigEndian.AppendUint32(nil, p.Value))
		case p.Property >= tpm2.TPMPTVendorString1 && p.Property <= tpm2.TPMPTVendorString4:
			vendor = binary.BigEndian.AppendUint32(vendor, p.Value)
		case p.Property == tpm2.TPMPTFirmwareVersion1:
			firmware = p.Value
		}
	}
	return fmt.Sprintf("%s firmware %d.%d", maker, firmware>>16, firmware&0xffff), printable(vendor), nil
}

// printable is what can be shown of a TPM's characters, which end with zeros or spaces.
func printable(text []byte) string {
	shown := strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return ' '
		}
		return r
	}, string(text))
	return strings.Join(strings.Fields(shown), " ")
}
