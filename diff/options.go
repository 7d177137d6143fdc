package diff

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/progress"
	"github.com/koala-go/sdk/source"
	"github.com/koala-go/sdk/weights"
)

// Options configure a run. A nil *Options means the zero value.
type Options struct {
	// Format is the format of the output: weights.FormatSafetensors, a Hugging
	// Face directory, which is the default; weights.FormatTorch, a directory of
	// Meta's shards; weights.FormatEasyLM or weights.FormatGGUF, a file.
	Format weights.Format
	// DType is the type of the output's weights. The default is BF16, as in the
	// reference; a conversion keeps the type of each weight by default. Q8_0 is
	// for GGUF only.
	DType dtype.Type
	// ShardSize bounds the tensors in one safetensors file, in bytes. Zero means
	// 5 GB.
	ShardSize int64
	// Shards is the number of Meta's shards. Zero means the number in which
	// LLaMA was released at this size.
	Shards int
	// ResizeVocab adds the missing rows to a base of a smaller vocabulary. Each
	// new row is the mean of the others, as in Alpaca's script.
	ResizeVocab bool
	// Force allows the run to replace an existing output, once the new output is
	// whole.
	Force bool

	// Resume continues an earlier run of the same plan that was killed or failed,
	// if there is one. If this run fails or is cancelled, it leaves what it wrote
	// for the next. Without Resume a run starts from the beginning, and removes
	// what it wrote if it fails.
	Resume bool
	// Digests selects the digests in the manifest. The default is DigestOutput.
	Digests Digests

	// AllowNonFinite allows results that are infinite or NaN.
	AllowNonFinite bool
	// Allow names checks that may fail: CheckSwapped, CheckRounded,
	// CheckRecovered. The run continues if one of them fails. Naming one of the
	// other checks has no effect, because a run cannot continue without what they
	// check.
	Allow []string

	// Source is where the inputs are read from. Nil means the local file system.
	// The output is always local.
	Source source.Source
	// Heads is the number of attention heads, for inputs that do not contain it.
	// Zero means: take it from the inputs.
	Heads int
	// FollowLinks allows shards of the inputs to be symbolic links to any path.
	FollowLinks bool

	// Workers bounds the number of goroutines that work. Zero means GOMAXPROCS,
	// one more with digests, or fewer if the memory limit requires it. With
	// DigestAll, one more goroutine reads the inputs for their digests.
	Workers int
	// Memory bounds the memory of the process, in bytes. Zero means
	// DefaultMemory. Half of the limit is for buffers. The program itself needs
	// some 30 MiB, so that a limit below 96 MiB bounds the buffers only.
	Memory int64
	// Progress is called with the bytes of output that were written, in the stage
	// "write", and once in the stage "sync". Nil means that nothing is reported.
	Progress progress.Func

	// For tests.
	journalPanels int   // the number of panels after which the journal is saved; zero: by time only
	freeMemory    int64 // the machine's free memory in bytes; zero: ask the system
}

// Digests selects the digests in a manifest.
type Digests string

// The choices of Digests.
const (
	DigestNone   Digests = "none"   // no digests
	DigestOutput Digests = "output" // digests of the output's files and tensors
	DigestAll    Digests = "all"    // also of the inputs' files, which are read a second time
)

// DefaultMemory is the memory limit where Options.Memory is zero: 256 MiB.
const DefaultMemory = 256 << 20

// OptionError reports a wrong or contradictory value in Options or VerifyOptions.
type OptionError struct {
	Option  string // Option is the name of the field.
	Problem string
	Cure    string
}

// Error returns a message of the form "what: where: what to do".
func (e *OptionError) Error() string { return e.Problem + ": option " + e.Option + ": " + e.Cure }

// Unwrap returns weights.ErrOptions, the kind of all errors about options.
func (e *OptionError) Unwrap() error { return weights.ErrOptions }

// resolve returns the options with defaults filled in.
func (o *Options) resolve() Options {
	var full Options
	if o != nil {
		full = *o
	}
	if full.Digests == "" {
		full.Digests = DigestOutput
	}
	if full.Format == "" {
		full.Format = weights.FormatSafetensors
	}
	if full.Workers <= 0 {
		full.Workers = runtime.GOMAXPROCS(0)
		if full.Digests != DigestNone {
			full.Workers++ // workers compute digests one at a time, and wait for each other
		}
	}
	if full.Memory <= 0 {
		full.Memory = DefaultMemory
	}
	return full
}

// check refuses values that are wrong for all inputs. The options are resolved.
func (o *Options) check() error {
	if writable := slices.DeleteFunc(weights.Formats(), func(f weights.Format) bool { return !f.Writable() }); !slices.Contains(writable, o.Format) {
		return unknownValue("Format", o.Format, writable)
	}
	types := slices.DeleteFunc(dtype.WeightTypes(), func(t dtype.Type) bool { return !o.Format.Stores(t) })
	if o.DType != "" && !slices.Contains(types, o.DType) {
		return &OptionError{"DType", fmt.Sprintf("type %q cannot be written in format %s", o.DType, o.Format), "give one of " + listed(types)}
	}
	if all := []Digests{DigestNone, DigestOutput, DigestAll}; !slices.Contains(all, o.Digests) {
		return unknownValue("Digests", o.Digests, all)
	}
	for _, name := range o.Allow {
		if !slices.Contains(checkNames, name) {
			return unknownValue("Allow", name, checkNames[:overridable])
		}
	}
	return nil
}

func unknownValue[T ~string](option string, value T, known []T) error {
	return &OptionError{option, fmt.Sprintf("%q is unknown", value), "give one of " + listed(known)}
}

func listed[T ~string](values []T) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = string(v)
	}
	return strings.Join(words, ", ")
}

// allows reports whether a failed check is ignored.
func (o *Options) allows(check string) bool {
	return slices.Contains(checkNames[:overridable], check) && slices.Contains(o.Allow, check)
}
