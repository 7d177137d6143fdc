// Package cpu reports which instruction sets the kernels of this module may
// use. It declares nothing under the build tag purego, nor on architectures
// whose kernels need no check.
package cpu
