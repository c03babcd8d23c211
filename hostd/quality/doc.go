// Package quality is one guest's outlet: bytes of the reservoir, bytes of an SP 800-90A
// DRBG that is the guest's alone, or the one up to the guest's share and the other
// above it.
//
// It promises that
//
//   - a guest of quality "full" gets bytes of the reservoir and nothing else; it waits
//     when there are none;
//   - a DRBG is one guest's, from its first seed to its end: two guests never share a
//     state, whatever their names;
//   - it is seeded and reseeded from the reservoir, out of the guest's own share; its
//     first seed goes ahead of all others', as a guest's first bytes do;
//   - where there is no seed, it goes on for max_stale after the last one, and then
//     gives nothing until there is;
//   - one call never mixes the two, and they are counted apart;
//   - guests of DRBGs share no lock, but for the reservoir's when one needs a seed;
//   - the quality can be changed at any time: who waits goes on waiting for what the
//     new one gives.
//
// The state of a DRBG and up to 4 KiB of its output, which is what small reads are
// served from, are on the heap, which hostd locks into memory and keeps out of core
// dumps. What was given is zeroed there, and all of it when the tap is closed or the
// generator is reseeded.
package quality
