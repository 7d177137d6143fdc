// Package memory asks the system about memory, and for it. Where a system is not
// known, it knows nothing and does nothing.
package memory
