// Package cpu says which instruction sets the kernels of this module may use.
// Under the build tag purego, and where a kernel needs none, all are false.
package cpu
