//go:build !amd64 || purego

package half

func available() []*kernels { return nil }
