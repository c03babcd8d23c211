package backends

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/go-tpm/tpm2"
)

var (
	errTPM12       = errors.New("it is a TPM 1.2, and 2.0 is needed: the kernel offers its generator as a source of type hwrng")
	errTPMSilent   = errors.New("no answer")
	errTPMNothing  = errors.New("the TPM gave no bytes: it is broken")
	errTPMNonsense = errors.New("what answers is no TPM 2.0")
)

// tpmAdvice is what to do about an error, the first one that fits.
var tpmAdvice = []struct {
	err    error
	advice string
}{
	{fs.ErrPermission, "add the user to the group tss, or SupplementaryGroups=tss to the unit"},
	{syscall.EBUSY, "another program has it for itself: use the resource manager, /dev/tpmrm0"},
	{syscall.ECONNREFUSED, "nobody listens there: start the TPM"},
	{errTPMSilent, "the TPM hangs, or another program holds it"},
	{syscall.ETIME, "the TPM hangs"},
	{io.EOF, "the TPM has gone"},
	{io.ErrUnexpectedEOF, "the TPM has gone"},
	{syscall.ECONNRESET, "the TPM has gone"},
	{syscall.EPIPE, "the TPM has gone"},
	{syscall.EIO, "the TPM has gone"},
	{syscall.ENODEV, "the TPM has gone"},
	{tpm2.TPMRCInitialize, "nobody has started it: firmware does, and swtpm with --flags startup-clear"},
	{tpm2.TPMRCFailure, "it has failed its self-test: only a power cycle brings it back"},
	{tpm2.TPMRCReboot, "only a power cycle brings it back"},
	{tpm2.TPMRCUpgrade, "let the upgrade of its firmware end"},
	{tpm2.TPMRCLockout, "it is locked after wrong passwords: wait, or tpm2_dictionarylockout --clear-lockout"},
	{tpm2.TPMRCCommandCode, "it has no such command, or a filter keeps it away"},
	{tpm2.TPMRCDisabled, "enable the TPM in the firmware's setup"},
}

// explain says what was to be done, with what, what came of it and what to do.
func (s *tpmSource) explain(did string, err error) error {
	advice := ""
	for _, a := range tpmAdvice {
		if errors.Is(err, a.err) {
			advice = ": " + a.advice
			break
		}
	}
	if advice == "" && errors.Is(err, fs.ErrNotExist) {
		advice = ": " + s.whyMissing()
	}
	var file *fs.PathError
	var socket *net.OpError
	switch { // the path is said below
	case errors.As(err, &file):
		err = file.Err
	case errors.As(err, &socket):
		err = socket.Err
	}
	return fmt.Errorf("%s %s: %w%s", did, s.path, err, advice)
}

// whyMissing tells why there is no device. A TPM 1.2 has no resource manager.
func (s *tpmSource) whyMissing() string {
	if number, ok := tpmNumber(filepath.Base(s.path)); ok {
		version, err := os.ReadFile(filepath.Join(s.sysfs, "class/tpm/tpm"+number, "tpm_version_major"))
		if err == nil && strings.TrimSpace(string(version)) == "1" {
			return errTPM12.Error()
		}
		return "there is no TPM: enable it in the firmware's setup, and load its driver (tpm_tis, tpm_crb)"
	}
	return "there is no TPM: start the one that listens there, or give another path"
}
