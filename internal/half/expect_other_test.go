//go:build !amd64 || purego

package half

func expectedKernel() string { return "generic" }
