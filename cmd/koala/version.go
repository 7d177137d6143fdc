package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/koala-go/sdk/internal/half"
)

type versionCmd struct {
	JSON bool `name:"json" help:"Print one JSON document on stdout."`
}

// Help returns the text below the usage line.
func (c *versionCmd) Help() string {
	return `Prints the version, the Go release, the platform, and the instruction set of the kernels.

Example:
  koala version --json`
}

// version describes the binary.
type version struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	Kernel   string `json:"kernel"` // instruction set of the arithmetic kernels
}

func buildVersion() version {
	v := version{Version: "(devel)", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, Kernel: half.Kernel()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Revision = s.Value
		}
	}
	return v
}

// Run executes the command.
func (c *versionCmd) Run(a *app) error {
	v := buildVersion()
	if c.JSON {
		return printJSON(a.stdout, v)
	}
	_, err := fmt.Fprintf(a.stdout, "koala %s %s %s/%s %s\n", v.Version, v.Go, v.OS, v.Arch, v.Kernel)
	return err
}
