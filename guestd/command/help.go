//go:build linux

package command

const help = `guestd feeds this guest's kernel with random bytes from its host.

  guestd [flags]         for ever: at the start, at an interval, and at once
                         whenever the host pushes
  guestd seed [flags]    once: exit 0 when the kernel is reseeded, 1 if not
  guestd status [--json] what was fed
  guestd version

Flags:
  --interval 60s     between two requests (not seed)
  --timeout 5s       how long seed waits
  --bytes 64         of each request, 32 to 4096
  --credit auto      what counts as entropy, of bytes that pass the health tests:
                     auto  as much as the host claims for them; for /dev/hwrng
                           the kernel's rng_quality, or 8 bits a byte if the
                           kernel has none and the device is a virtio-rng
                     none  nothing: mix only
                     full  8 bits a byte
                     1..8  so many bits a byte
  --pipe auto        port or hwrng, or with a device: port:PATH, hwrng:PATH
  --status FILE      the record that status reads (/run/headgate/guestd.json)

Example, first thing at boot:
  guestd seed --timeout 2s
Example, as a service:
  guestd --interval 5m
`
