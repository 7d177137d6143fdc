package weights

import (
	"bytes"
	"io"
	"slices"
	"strings"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/flax"
	"github.com/koala-go/sdk/internal/gguf"
	"github.com/koala-go/sdk/internal/safetensors"
	"github.com/koala-go/sdk/internal/tensor"
	"github.com/koala-go/sdk/internal/torchfile"
)

// Format is the name of a file format. Formats returns those that Open reads.
type Format string

// The formats that Open reads.
const (
	FormatSafetensors Format = "safetensors" // one file, or a Hugging Face directory
	FormatEasyLM      Format = "easylm"      // EasyLM's msgpack stream
	FormatGGUF        Format = "gguf"        // llama.cpp's file
	FormatTorch       Format = "torch"       // torch's zips: Meta's .pth shards, Hugging Face's .bin
	FormatFlax        Format = "flax"        // flax's single msgpack map
)

// formatRow holds all that the package knows of one format. Whatever depends on
// the format follows from its row, here and in the packages above.
type formatRow struct {
	name Format
	noun string // as an error text tells the user to give it

	// detect returns how certainly the first bytes of a file are of the format.
	// There are at most headSize of them, and at least one.
	detect func(head []byte) certainty
	// read reads the header of a file.
	read func(r io.ReaderAt, size int64) (*fileHeader, error)
	// hasSideFiles is true if config.json and the tokenizer's files lie beside
	// a file of the format.
	hasSideFiles bool
	// single and index are the names of the only file, and of the index of the
	// shards, in a Hugging Face directory. They are empty for other formats.
	single, index string
	// openShards opens a directory whose shards are known by their names alone.
	// It reports false if the names are not those of shards. Nil means: none.
	openShards func(c *Checkpoint, names []string) (bool, error)
	// remedy is what to do with a file of a kind that read does not support.
	// Empty means: convert it to safetensors.
	remedy string

	layout *Layout
	// plan lays out the files of an output. Nil means that the format is not
	// written, and that the fields below have no meaning.
	plan func(*Plan) error
	// directory is true if an output is a directory, not a file.
	directory bool
	// extension is that of a file's name, with its dot, or empty.
	extension string
	// blockTypes are the element types besides F32, F16 and BF16 that an output
	// can store.
	blockTypes []dtype.Type
	// sideFiles are the names of the small files that belong to the model and
	// that an output takes over from the inputs.
	sideFiles []string
	// vocabulary is true if a file holds the tokenizer itself.
	vocabulary bool
	// tied is true if an output may leave out the output matrix of a model
	// whose embedding is used for it.
	tied bool
}

// formats is the table of formats. Detection prefers the first of two equally
// certain rows. The order is also that of Formats.
var formats []formatRow

// The table is filled by init: its functions use it, which a variable's
// initializer may not.
func init() {
	formats = []formatRow{{
		name: FormatSafetensors, noun: "safetensors",
		detect: detectSafetensors, read: readSafetensors,
		hasSideFiles: true, single: singleName, index: indexName,
		layout: HuggingFace, plan: (*Plan).planSafetensors, directory: true, extension: ".safetensors", tied: true,
		sideFiles: []string{
			"generation_config.json",
			"tokenizer.model", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
		},
	}, {
		name: FormatEasyLM, noun: "an EasyLM stream",
		detect: detectEasyLM, read: readFlax,
		layout: EasyLM, plan: (*Plan).planEasyLM,
	}, {
		name: FormatGGUF, noun: "GGUF",
		detect: detectPrefix("GGUF"), read: readGGUF,
		layout: GGUF, plan: (*Plan).planGGUF, extension: ".gguf", tied: true,
		blockTypes: []dtype.Type{dtype.Q8_0}, vocabulary: true,
	}, {
		name: FormatTorch, noun: "a torch file",
		// A zip begins with a member, or with its directory if it has none. A
		// pickle without a zip is of before torch 1.6; torchfile refuses it.
		detect: detectPrefix("PK\x03\x04", "PK\x05\x06", "\x80\x02"), read: readTorch,
		hasSideFiles: true, single: "pytorch_model.bin", index: "pytorch_model.bin.index.json", openShards: openMetaShards,
		remedy: "load it and save it again with a current torch, or convert it to safetensors",
		layout: Meta, plan: (*Plan).planTorch, directory: true, extension: ".pth",
		sideFiles: []string{"tokenizer.model"},
	}, {
		name: FormatFlax, noun: "a flax map",
		detect: detectFlax, read: readFlax,
		layout: EasyLM, extension: ".msgpack",
	}}
}

// row returns the format's row, a row of zeros for an unknown format.
func (f Format) row() *formatRow {
	for i := range formats {
		if formats[i].name == f {
			return &formats[i]
		}
	}
	return &formatRow{name: f}
}

// Formats returns the formats that Open reads.
func Formats() []Format {
	list := make([]Format, len(formats))
	for i := range formats {
		list[i] = formats[i].name
	}
	return list
}

// Writable reports whether a Spec can have the format.
func (f Format) Writable() bool { return f.row().plan != nil }

// IsDir reports whether a checkpoint is written as a directory, not as a file.
func (f Format) IsDir() bool { return f.row().directory }

// Extension returns the usual ending of a file's name, with its dot. It is
// empty for EasyLM's streams, which have none.
func (f Format) Extension() string { return f.row().extension }

// Layout returns the layout in which files of the format are written, nil for
// an unknown format.
func (f Format) Layout() *Layout { return f.row().layout }

// Stores reports whether a weight can be written with elements of type t.
func (f Format) Stores(t dtype.Type) bool {
	row := f.row()
	return row.plan != nil && (t.IsFloat() || slices.Contains(row.blockTypes, t))
}

// SideFiles returns the names of the small files that belong to a model and
// that a directory of the format holds besides its configuration: those of the
// tokenizer.
func (f Format) SideFiles() []string { return slices.Clone(f.row().sideFiles) }

// HoldsVocabulary reports whether a file of the format holds the tokenizer:
// Spec.Vocabulary.
func (f Format) HoldsVocabulary() bool { return f.row().vocabulary }

// HoldsTied reports whether a model with tied embeddings can be written without
// an output matrix.
func (f Format) HoldsTied() bool { return f.row().tied }

// certainty is how certainly a file is of a format.
type certainty int

const (
	no      certainty = iota
	likely            // the first bytes fit, as may those of other formats
	certain           // the first bytes are the format's own
	always            // the bytes are of no other format, whatever precedes them
)

// headSize is the number of first bytes that a format is recognized by.
const headSize = 24

// refused are the first bytes of files that are recognized and not read.
var refused = []struct{ prefix, what, todo string }{
	{"\x1f\x8b", "the file is compressed with gzip", "unpack it"},
	{"\x28\xb5\x2f\xfd", "the file is compressed with zstd", "unpack it"},
	{"version https://git-lfs", "the file is a Git LFS pointer", "fetch the real one with git lfs pull"},
}

// detectPrefix returns a detect function for a format with magic bytes.
func detectPrefix(prefixes ...string) func([]byte) certainty {
	return func(head []byte) certainty {
		for _, prefix := range prefixes {
			if bytes.HasPrefix(head, []byte(prefix)) {
				return certain
			}
		}
		return no
	}
}

// detectSafetensors looks for the brace that follows eight bytes of length.
// With zeros in the upper half of the length the lower half may look like any
// other format's magic bytes.
func detectSafetensors(head []byte) certainty {
	switch {
	case bytes.HasPrefix(head[min(4, len(head)):], []byte("\x00\x00\x00\x00{")):
		return always
	case len(head) > 8 && head[8] == '{':
		return likely
	}
	return no
}

// detectEasyLM looks for a msgpack list of two, the first of them a list.
func detectEasyLM(head []byte) certainty {
	if head[0] == 0x92 && (len(head) == 1 || head[1]&0xf0 == 0x90 || head[1] == 0xdc || head[1] == 0xdd) {
		return likely
	}
	return no
}

// detectFlax looks for a msgpack map.
func detectFlax(head []byte) certainty {
	if head[0]&0xf0 == 0x80 || head[0] == 0xde || head[0] == 0xdf {
		return likely
	}
	return no
}

// detect returns the format of the first bytes of a file.
func detect(f *openFile) (*formatRow, error) {
	head := make([]byte, min(f.info.Size, headSize))
	if err := bounded.ReadFull(f, head, 0); err != nil {
		return nil, readError(f.path, err)
	}
	if len(head) == 0 {
		return nil, whole("", f.path, io.ErrUnexpectedEOF, "the file is empty")
	}
	var best *formatRow
	surest := no
	for i := range formats {
		if sure := formats[i].detect(head); sure > surest {
			best, surest = &formats[i], sure
		}
	}
	for _, r := range refused {
		if surest < certain && bytes.HasPrefix(head, []byte(r.prefix)) {
			return nil, unsupported(f.path, r.todo, "%s", r.what)
		}
	}
	if best == nil {
		return nil, unsupported(f.path, "give "+nouns(), "the first bytes %x are of no known format", head[:min(8, len(head))])
	}
	return best, nil
}

// nouns lists the formats for an error text.
func nouns() string {
	var words []string
	for _, row := range formats {
		words = append(words, row.noun)
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// fileHeader is what the header of a file states.
type fileHeader struct {
	tensors   []tensor.Tensor
	config    func(*Config) error // reads the model's shape, nil if the file does not state it
	checksums []checksum
}

func readSafetensors(r io.ReaderAt, size int64) (*fileHeader, error) {
	file, err := safetensors.Read(r, size)
	if err != nil {
		return nil, err
	}
	return &fileHeader{tensors: file.Tensors}, nil
}

func readFlax(r io.ReaderAt, size int64) (*fileHeader, error) {
	file, err := flax.Read(r, size)
	if err != nil {
		return nil, err
	}
	return &fileHeader{tensors: file.Tensors}, nil
}

func readGGUF(r io.ReaderAt, size int64) (*fileHeader, error) {
	file, err := gguf.Read(r, size)
	if err != nil {
		return nil, err
	}
	config := func(c *Config) error { return c.readGGUF(file.Metadata) }
	return &fileHeader{tensors: file.Tensors, config: config}, nil
}

func readTorch(r io.ReaderAt, size int64) (*fileHeader, error) {
	file, err := torchfile.Read(r, size)
	if err != nil {
		return nil, err
	}
	h := &fileHeader{tensors: file.Tensors}
	if !file.Unchecked {
		for _, s := range file.Storages {
			h.checksums = append(h.checksums, checksum{s.Name, s.Offset, s.Size, s.CRC32})
		}
	}
	return h, nil
}
