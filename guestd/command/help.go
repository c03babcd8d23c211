//go:build linux

package command

import "headgate/guestd/status"

// helps has the help of every command; that of guestd itself is under "".
var helps = map[string]string{
	"": `guestd feeds this guest's kernel with random bytes from its host.

  guestd [flags]           for ever: at the start, at an interval, and at once when
                           the host pushes and on every other sign that this guest
                           is a clone or was restored
  guestd seed [flags]      once, and wait for it
  guestd status [flags]    what was fed
  guestd check [flags]     what all clones of this image would share
  guestd version
  guestd COMMAND --help    the command's flags, and an example

Flags:
  --interval 60s     between two requests
  --poll 1s          between two looks at what does not tell of a clone by itself:
                     the VM generation ID where the kernel has no driver for it,
                     and the battery-backed clock; 0: no such looks
` + feeding + record + `
Example:
  guestd --interval 5m
`,
	"seed": `guestd seed feeds this guest's kernel once: exit 0 when the kernel's generator is
ready and was reseeded with fresh bytes from the host, 1 if not in time.

Flags:
  --timeout 5s       how long to wait; without a pipe whose host listens, 0.3 s
` + feeding + record + `
Example, before keys are made:
  guestd seed --timeout 2s && ssh-keygen -A
`,
	"status": `guestd status says what guestd fed, when and why, from the record that it keeps.

Flags:
  --json             the record as it is: one JSON object
  --status FILE      the record (` + status.Path + `)

Example:
  guestd status --json
`,
	"check": `guestd check says what all clones of an image would share, and how to mend that,
before the image is sealed: exit 0 when that is nothing, 1 when it is something.

Flags:
  --root DIR         where the image is mounted (/)
  --json             one JSON array

Example:
  guestd check --root /mnt
`,
	"version": `guestd version prints the version.

Example:
  guestd version
`,
}

const (
	feeding = `  --bytes 64         of each request, 32 to 4096
  --credit auto      what counts as entropy, of bytes that pass the health tests:
                     auto  as much as the host claims for them; for /dev/hwrng
                           the kernel's rng_quality, or 8 bits a byte if the
                           kernel has none and the device is a virtio-rng; in a
                           confidential VM (SEV-SNP, TDX) nothing, for its host is
                           the adversary
                     none  nothing: mix only
                     full  8 bits a byte
                     1..8  so many bits a byte
  --pipe auto        the best there is of these, in this order:
                     vchan    a ring, offered to Xen's domain 0 (needs the modules
                              xen_gntalloc and xen_evtchn)
                     channel  an xl channel named org.headgate.entropy.0
                     port     a virtio-serial port of that name
                     hwrng    /dev/hwrng
                     or only one, the last three also with a device: port:PATH
`
	record = "  --status FILE      the record (" + status.Path + "; \"\": none)\n"
)
