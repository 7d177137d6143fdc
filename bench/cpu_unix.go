//go:build unix

package main

import (
	"syscall"
	"time"
)

// cpuTime returns the processor time of this process, which does not include other
// work on the machine.
func cpuTime() time.Duration {
	var u syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
