package weights

import (
	"bytes"
	"fmt"
	"io"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/flax"
	"github.com/koala-go/sdk/internal/gguf"
	"github.com/koala-go/sdk/internal/safetensors"
	"github.com/koala-go/sdk/internal/tensor"
	"github.com/koala-go/sdk/internal/torchfile"
)

// Format is a file format.
type Format string

// The formats that Open reads.
const (
	FormatSafetensors Format = "safetensors" // one file, or a Hugging Face directory
	FormatTorch       Format = "torch"       // torch's zips: Meta's .pth shards, Hugging Face's .bin
	FormatEasyLM      Format = "easylm"      // EasyLM's msgpack stream
	FormatFlax        Format = "flax"        // flax's single msgpack map
	FormatGGUF        Format = "gguf"        // llama.cpp's
)

// layout is the layout in which files of a format are written.
func (f Format) layout() *Layout {
	switch f {
	case FormatEasyLM:
		return EasyLM
	case FormatTorch:
		return Meta
	case FormatGGUF:
		return GGUF
	}
	return HuggingFace
}

// magics are first bytes that tell a format, or why the file is not read.
var magics = []struct {
	prefix     string
	format     Format
	what, todo string
}{
	{"PK\x03\x04", FormatTorch, "", ""},
	{"PK\x05\x06", FormatTorch, "", ""}, // a zip of no files
	{"\x80\x02", FormatTorch, "", ""},   // a pickle without a zip, which torchfile refuses
	{"GGUF", FormatGGUF, "", ""},
	{"\x1f\x8b", "", "the file is compressed with gzip", "unpack it"},
	{"\x28\xb5\x2f\xfd", "", "the file is compressed with zstd", "unpack it"},
	{"version https://git-lfs", "", "the file is a Git LFS pointer", "fetch the real one with git lfs pull"},
}

// detect tells the format from the first bytes.
func detect(f *openFile) (Format, error) {
	path := f.path
	head := make([]byte, min(f.info.Size, 24))
	if err := bounded.ReadFull(f, head, 0); err != nil {
		return "", fmt.Errorf("reading %s: %w", path, err)
	}
	if bytes.HasPrefix(head[min(4, len(head)):], []byte("\x00\x00\x00\x00{")) {
		return FormatSafetensors, nil // whatever the length before it looks like
	}
	for _, m := range magics {
		switch {
		case !bytes.HasPrefix(head, []byte(m.prefix)):
		case m.format != "":
			return m.format, nil
		default:
			return "", unsupported(path, m.what, m.todo)
		}
	}
	switch {
	case len(head) == 0:
		return "", whole("", path, io.ErrUnexpectedEOF, "the file is empty")
	case len(head) > 8 && head[8] == '{':
		return FormatSafetensors, nil
	case head[0] == 0x92 && (len(head) == 1 || isArray(head[1])):
		return FormatEasyLM, nil
	case head[0]&0xf0 == 0x80 || head[0] == 0xde || head[0] == 0xdf:
		return FormatFlax, nil
	}
	return "", unsupported(path, fmt.Sprintf("the first bytes %x are of no known format", head[:min(8, len(head))]),
		"give safetensors, a torch file, GGUF, an EasyLM stream or a flax map")
}

// isArray is true of the first byte of a msgpack list.
func isArray(b byte) bool { return b&0xf0 == 0x90 || b == 0xdc || b == 0xdd }

// header is what a file tells before its tensors are read.
type header struct {
	tensors  []tensor.Tensor
	metadata *gguf.Metadata      // of GGUF
	storages []torchfile.Storage // of torch, with the checksums of what they hold
}

// readHeader reads the header of a file of a known format.
func readHeader(format Format, f *openFile) (h header, err error) {
	switch format {
	case FormatSafetensors:
		var file *safetensors.File
		if file, err = safetensors.Read(f.File, f.info.Size); err == nil {
			h.tensors = file.Tensors
		}
	case FormatTorch:
		var file *torchfile.File
		if file, err = torchfile.Read(f.File, f.info.Size); err == nil {
			h.tensors = file.Tensors
			if !file.Unchecked {
				h.storages = file.Storages
			}
		}
	case FormatGGUF:
		var file *gguf.File
		if file, err = gguf.Read(f.File, f.info.Size); err == nil {
			h.tensors, h.metadata = file.Tensors, file.Metadata
		}
	default:
		var file *flax.File
		if file, err = flax.Read(f.File, f.info.Size); err == nil {
			h.tensors = file.Tensors
		}
	}
	return h, err
}
