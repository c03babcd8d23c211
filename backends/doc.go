// Package backends brings in the physical noise: one Source for each kind of
// device, and the Pump that carries a source's samples to a Sink.
//
// It promises that
//
//   - no sample reaches the Sink before the start-up test of its stream and the
//     tests of its own window have passed, and none that belongs to a run of equal
//     samples which may yet fail;
//   - a failed test drops the window, forfeits what the sink has not yet used, and
//     asks for a new start-up test before anything else is used;
//   - a source that is missing, stuck or dead is retried for ever, with a pause
//     that grows to a bound, and is no harm to any other. What it had poured before was
//     tested and stays, until it is back: then it begins with nothing;
//   - a source that is not credited is opened, tested and poured like any other, and
//     counts nothing;
//   - the claim that goes with the samples is the one that the operator assessed
//     or, where there is none, at most 2 bits a byte and at most what the kernel
//     credits to its driver, and is then called assumed;
//   - samples are zeroed when they are poured or dropped, and are in no log.
//
// What a source is an instance of is its origin: the driver of the kernel's generator,
// the number of a device, the socket, the program. Sources of one origin may be giving
// the same noise twice, so they count as one, but each of them has tests of its own and
// fails alone. An origin is found anew at each Open, because the kernel may have changed
// the driver or another device may have taken the name; a stream never goes on over
// such a change. That another process reads the device too changes nothing: a device
// gives no byte twice.
//
// A Source knows one device. A Pump is the task of one source: it opens, tests,
// pours, and begins again. Package health holds the tests and package reservoir
// the sink of the daemon; neither is known to a Source.
package backends
