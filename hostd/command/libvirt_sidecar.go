package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"headgate/hostd/config"
	"headgate/kvm/libvirt"
)

// sidecarName is what KubeVirt's sidecar-shim looks for in PATH and runs to have a
// domain's XML changed (kubevirt, cmd/sidecars/README.md).
const sidecarName = "onDefineDomain"

// Args gives the arguments of a command line without the program's name. Called by
// the name that KubeVirt calls its hooks by, the program is that hook.
func Args(line []string) []string {
	if len(line) == 0 {
		return nil
	}
	if filepath.Base(line[0]) == sidecarName {
		return append([]string{"libvirt", "sidecar"}, line[1:]...)
	}
	return line[1:]
}

// Annotations of a VirtualMachineInstance. They become the domain's policy, but
// for the guest's name.
const (
	annotationGuest  = "headgate.io/guest"
	annotationClass  = "headgate.io/class"
	annotationRate   = "headgate.io/rate"
	annotationWeight = "headgate.io/weight"
)

// maxVMI bounds the VirtualMachineInstance, in bytes. The kernel hands a program at
// most 128 KiB in one argument (MAX_ARG_STRLEN, linux/binfmts.h).
const maxVMI = 1 << 20

func (a *App) libvirtSidecar() *cobra.Command {
	c := &cobra.Command{
		Use:   "sidecar [--vmi JSON] [--domain XML]",
		Short: "Add the rng device to a domain's XML; KubeVirt's sidecar-shim runs it",
		Long: "Print a domain's XML with the rng device of its guest in it, as a hook onDefineDomain of\n" +
			"KubeVirt. It talks to nobody: the socket is hostd's to make. KubeVirt calls a hook again\n" +
			"with what is left of its own answer, so that a device that lost its socket is mended.",
		Example: "  hostd libvirt sidecar <domain.xml\n" +
			"  ln -s hostd /usr/bin/onDefineDomain    # in the image of the sidecar",
		Args: exactly(),
	}
	vmi := c.Flags().String("vmi", "", "the VirtualMachineInstance as `JSON`; its annotations headgate.io/class, /rate, /weight and /guest count")
	domain := c.Flags().String("domain", "", "the domain's `XML` (default: from stdin)")
	guests := c.Flags().String("guests", config.Default().Libvirt.Guests, "`FOLDER` of the sockets, as QEMU sees it")
	c.RunE = func(c *cobra.Command, _ []string) error {
		text := []byte(*domain)
		if !c.Flags().Changed("domain") {
			var err error
			if text, err = io.ReadAll(io.LimitReader(a.In, libvirt.MaxXML+1)); err != nil {
				return fmt.Errorf("domain XML on stdin: %w", err)
			}
		}
		out, err := sidecar(text, []byte(*vmi), config.Libvirt{Guests: *guests})
		if err != nil {
			return fmt.Errorf("sidecar: %w", err)
		}
		_, err = a.Out.Write(out)
		return err
	}
	return c
}

// sidecar wires a domain's XML to its guest.
func sidecar(text, vmi []byte, sockets config.Libvirt) ([]byte, error) {
	annotations, err := annotationsOf(vmi)
	if err != nil {
		return nil, err
	}
	d, err := libvirt.ParseDomain(text)
	if err != nil {
		return nil, err
	}
	guest := annotations[annotationGuest]
	if guest == "" {
		guest = config.DomainGuest(d.Name, d.UUID)
	}
	if err := config.CheckName(guest); err != nil {
		return nil, fmt.Errorf("domain %q: %w: give it another with the annotation %s", d.Name, err, annotationGuest)
	}
	if !filepath.IsAbs(sockets.Guests) {
		return nil, fmt.Errorf("--guests %q is to be an absolute path", sockets.Guests)
	}
	w := libvirt.Wiring{RNG: sockets.GuestSocket(guest)}
	policy := libvirt.Policy{Class: annotations[annotationClass], Rate: annotations[annotationRate], Weight: annotations[annotationWeight]}
	if policy.Class != "" || policy.Rate != "" || policy.Weight != "" {
		w.Policy = &policy
	}
	device, err := libvirt.RNGXML(w.RNG)
	if err != nil {
		return nil, err
	}
	if text, err = fill(text, device); err != nil {
		return nil, err
	}
	return libvirt.Edit(text, w)
}

// annotationsOf reads what is needed of a VirtualMachineInstance.
func annotationsOf(vmi []byte) (map[string]string, error) {
	if len(vmi) == 0 {
		return nil, nil
	}
	if len(vmi) > maxVMI {
		return nil, fmt.Errorf("the VirtualMachineInstance has %d bytes; allowed: %d", len(vmi), maxVMI)
	}
	var v struct {
		Metadata struct {
			Annotations map[string]string `json:"annotations"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(vmi, &v); err != nil {
		return nil, fmt.Errorf("the VirtualMachineInstance: %w", err)
	}
	return v.Metadata.Annotations, nil
}

var errNoBackend = errors.New("there is no <backend> in it")

// fill puts the backend of device in the place of one that lost its socket.
// KubeVirt reads the XML that a hook gave into structures of its own, which know of
// a backend its model alone, and gives the hook what it writes from them
// (api.RngBackend; kubevirt pull request 11279). The device around it stays: it may
// have its address on the bus by then.
func fill(text []byte, device string) ([]byte, error) {
	devices, err := devicesOf(text)
	if err != nil {
		return nil, err
	}
	full, err := backend(device)
	if err != nil {
		return nil, err
	}
	for _, d := range devices {
		if d.RNG == nil || d.RNG.Backend != "egd" || d.RNG.Type != "" {
			continue
		}
		hollow, err := backend(d.XML)
		if err != nil {
			return nil, err
		}
		if strings.Contains(hollow, "type") || strings.Contains(hollow, "source") {
			continue // of a type that is not known here
		}
		mended := strings.Replace(d.XML, hollow, full, 1)
		return bytes.Replace(text, []byte(d.XML), []byte(mended), 1), nil
	}
	return text, nil
}

// backend is the one element of that name in a device's XML.
func backend(device string) (string, error) {
	const begin, end = "<backend", "</backend>"
	from := strings.Index(device, begin)
	if from < 0 {
		return "", fmt.Errorf("%.64q: %w", device, errNoBackend)
	}
	if to := strings.Index(device, end); to > from {
		return device[from : to+len(end)], nil
	}
	if to := strings.Index(device[from:], "/>"); to > 0 {
		return device[from : from+to+len("/>")], nil
	}
	return "", fmt.Errorf("%.64q: %w", device, errNoBackend)
}
