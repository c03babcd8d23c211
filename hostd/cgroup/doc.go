// Package cgroup finds control groups of version 2 in the file system and by the
// kernel's names for them.
//
// The promise: it only looks, it makes and moves nothing; and what it reads it takes
// from the kernel alone, so that there is one reading of mountinfo and of
// /proc/PID/cgroup for all who need the tree.
package cgroup
