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
//     that grows to a bound, and is no harm to any other;
//   - the claim that goes with the samples is the one that the operator assessed
//     or, where there is none, at most 2 bits a byte and at most what the kernel
//     credits to its driver, and is then called assumed;
//   - samples are zeroed when they are poured or dropped, and are in no log.
//
// A Source knows one device. A Pump is the task of one source: it opens, tests,
// pours, and begins again. Package health holds the tests and package reservoir
// the sink of the daemon; neither is known to a Source.
package backends
