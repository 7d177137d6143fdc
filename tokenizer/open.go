package tokenizer

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/vfs"
)

// Open reads a tokenizer from a file: a SentencePiece BPE model
// (tokenizer.model), a tokenizer.json of a LLaMA-like BPE, or a GGUF file, of
// which it reads the metadata alone. The content tells which.
//
// Errors are *ModelError for bad content, and the system's for files that
// cannot be read.
func Open(path string) (*Tokenizer, error) {
	f, err := vfs.OS.Open(path)
	if errors.Is(err, vfs.ErrNotRegular) {
		return nil, &ModelError{Path: path, Offset: -1, Err: unsupported("it is no regular file")}
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := read(f, f.Size())
	var bad *ModelError
	if errors.As(err, &bad) {
		bad.Path = path
	}
	return t, err
}

// New is Open for what a reader gives, all of which it reads into memory; for
// a GGUF file that is the tensors too, and Open is better.
func New(r io.Reader) (*Tokenizer, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("reading a tokenizer: %w", err)
	}
	return read(bytes.NewReader(b), int64(len(b)))
}

// maxModel is the size in bytes of the largest model but for GGUF.
const maxModel = 1 << 28

// read reads a tokenizer of any kind.
func read(r io.ReaderAt, size int64) (*Tokenizer, error) {
	head := make([]byte, min(size, 64))
	if err := bounded.ReadFull(r, head, 0); err != nil {
		return nil, err
	}
	kind := detect(head)
	v, err := readKind(kind, r, size)
	if err != nil {
		return nil, modelError(kind, err)
	}
	t, err := newTokenizer(v)
	if err != nil {
		return nil, modelError(kind, err)
	}
	return t, nil
}

// detect tells the kind from the first bytes.
func detect(head []byte) Kind {
	switch text := bytes.TrimLeft(head, " \t\r\n"); {
	case bytes.HasPrefix(head, []byte("GGUF")):
		return KindGGUF
	case len(text) > 0 && text[0] == '{':
		return KindHuggingFace
	}
	return KindSentencePiece
}

func readKind(kind Kind, r io.ReaderAt, size int64) (*vocabulary, error) {
	if kind == KindGGUF {
		return readGGUF(r, size)
	}
	if size > maxModel {
		return nil, unsupported("%d bytes are more than a tokenizer has", size)
	}
	if size == 0 {
		return nil, errEmpty
	}
	b := make([]byte, size)
	if err := bounded.ReadFull(r, b, 0); err != nil {
		return nil, err
	}
	if kind == KindHuggingFace {
		return readHF(b)
	}
	return readSPM(b)
}

var errEmpty = refusal.Reason(io.ErrUnexpectedEOF, "the file is empty")
