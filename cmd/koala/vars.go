package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/koala-go/sdk/backend"
	"github.com/koala-go/sdk/diff"
	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/prompt"
	"github.com/koala-go/sdk/tokenizer"
	"github.com/koala-go/sdk/weights"
)

// vars returns the variables of the struct tags: the values that a flag
// accepts, as the libraries list them, separated by commas. A tag refers to
// them by enum:"${formats}".
func vars() kong.Vars {
	v := kong.Vars{
		"formats":  commaList(writableFormats()...),
		"dtypes":   commaList(dtypeNames()...),
		"digests":  commaList(diff.DigestNone, diff.DigestOutput, diff.DigestAll),
		"dialects": commaList(dialectNames()...),
		"backends": commaList(backend.Kinds()...),

		"tokenizer_formats": commaList(tokenizer.Formats()...),
		"special_modes":     commaList(tokenizer.SpecialModes()...),
		"text_inputs":       commaList(inputText, inputLines, inputJSONL),
		"token_outputs":     commaList(outputIDs, outputPieces, outputCount, outputOffsets, outputNone),
	}
	maps.Copy(v, datasetVars())
	return v
}

// commaList joins values with commas, as an enum tag wants them.
func commaList[T any](values ...T) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = fmt.Sprint(v)
	}
	return strings.Join(words, ",")
}

// writableFormats returns the checkpoint formats that can be written.
func writableFormats() []weights.Format {
	return slices.DeleteFunc(weights.Formats(), func(f weights.Format) bool { return !f.Writable() })
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
