//go:build (!amd64 && !arm64) || purego

package half

func expectedKernel() string { return "generic" }
