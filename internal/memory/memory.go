// Package memory asks the system how much memory is free, and for large pages. On
// systems other than Linux it does nothing.
package memory
