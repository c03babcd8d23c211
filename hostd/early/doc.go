// Package early sees, in a guest, who asks the kernel for randomness before its
// generator is ready: the evidence that an image seeds early enough, or not.
//
// The promise: who asks by getrandom(2), /dev/random or /dev/urandom, from the moment
// that the report names until the generator is ready, is in it, with how much, how,
// when and how long it waited, or is counted as lost. What was before that moment is
// not seen, and the report says so, beside what the kernel's own log tells of it and
// who is found waiting already. Looking changes nothing: nothing here asks for
// randomness, least of all in a way that has the kernel make some, and nothing polls.
package early
