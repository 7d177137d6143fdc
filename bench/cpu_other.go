//go:build !unix

package main

import "time"

var begin = time.Now()

// cpuTime returns the time since the start: this system does not report processor
// time.
func cpuTime() time.Duration { return time.Since(begin) }
