// Package memory asks the operating system how much memory is free, and for
// huge pages. On systems other than Linux it returns zero and does nothing.
package memory
