package main

import (
	"strings"

	"github.com/alecthomas/kong"

	"github.com/koala-go/sdk/backend"
	"github.com/koala-go/sdk/dataset"
	"github.com/koala-go/sdk/diff"
	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/prompt"
	"github.com/koala-go/sdk/weights"
)

// vars returns the variables of the struct tags: the values that a flag
// accepts, as the libraries list them, separated by commas. A tag refers to
// them by enum:"${formats}".
func vars() kong.Vars {
	return kong.Vars{
		"formats":  list([]weights.Format{weights.FormatSafetensors, weights.FormatEasyLM, weights.FormatGGUF, weights.FormatTorch}),
		"dtypes":   list(dtypeNames()),
		"digests":  list([]diff.Digests{diff.DigestNone, diff.DigestOutput, diff.DigestAll}),
		"dialects": list(dialectNames()),
		"sources":  list(dataset.Sources()),
		"backends": list(backend.Kinds()),
	}
}

// list joins names with commas, as an enum tag wants them.
func list[T ~string](names []T) string {
	words := make([]string, len(names))
	for i, name := range names {
		words[i] = string(name)
	}
	return strings.Join(words, ",")
}

// flagDTypes are the data types that weights are written in, each with its
// name on the command line.
var flagDTypes = []struct {
	name string
	t    dtype.Type
}{{"bf16", dtype.BF16}, {"fp16", dtype.F16}, {"fp32", dtype.F32}, {"q8_0", dtype.Q8_0}}

func dtypeNames() (names []string) {
	for _, d := range flagDTypes {
		names = append(names, d.name)
	}
	return names
}

// parseDType returns the type of a name on the command line. It returns "" for
// keep, which leaves each weight in its own type.
func parseDType(name string) dtype.Type {
	for _, d := range flagDTypes {
		if d.name == name {
			return d.t
		}
	}
	return ""
}

func dialectNames() (names []string) {
	for _, d := range prompt.Dialects() {
		names = append(names, d.Name)
	}
	return names
}
