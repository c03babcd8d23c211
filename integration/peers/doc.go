// Command peers puts guestd beside the other programs that feed a Linux guest's
// random generator, each as Debian ships it and all in one run: who credits a kernel
// that nobody else seeds, who has it reseed at once, and for how long two clones of
// one saved guest go on to give the same random numbers. It prints the README's table.
//
// Each peer is measured twice, in QEMU under software emulation. First in a guest
// that was just booted, with neither a virtio-rng device nor a processor that the
// kernel believes. Then in one that has been up for more than two minutes: since then
// a kernel reseeds by itself once a minute, before more often. The kernel is told to
// reseed, the guest is saved, and two clones go on from the state.
//
// The peers run under strace(1), which sees nothing but ioctls; only where clones
// ought to differ within milliseconds do they run without, in more than one pair.
// They are not installed: their packages are downloaded and unpacked into a folder.
package main
