//go:build unix

package main

import (
	"syscall"
	"time"
)

// cpuTime is the processor time of this process: other work on the machine
// does not count.
func cpuTime() time.Duration {
	var u syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
