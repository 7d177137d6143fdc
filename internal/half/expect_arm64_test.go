//go:build arm64 && !purego

package half

func expectedKernel() string { return "NEON" }
