// Package debian boots a real Debian 12, made by mmdebstrap with what `make
// install-guest` installs in it, and looks at what guestd does in a guest's early boot:
// when the kernel's generator is ready, by whom, and what it costs where the host is
// away. hostd looks on from inside the fed ones, as examples/guest/trace-early has it; in
// one of them it is started, as the unit that make install installs.
//
// All times are the guest's own, from its kernel's log and its systemd.
package debian
