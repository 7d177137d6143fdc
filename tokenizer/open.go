package tokenizer

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/source"
)

// OpenOptions are the options of Open. Nil means the zero value.
type OpenOptions struct {
	// Source is where the file is read from. Nil means the local file system.
	Source source.Source
}

// Open reads a tokenizer from the named file: a SentencePiece BPE model
// (tokenizer.model), the tokenizer.json of a BPE model like LLaMA's, or a GGUF
// file, of which Open reads the metadata only. Open detects the format from
// the content, not from the name.
//
// Open returns a *ModelError if it cannot use the content, and the source's
// error if it cannot open the file.
func Open(ctx context.Context, name string, opts *OpenOptions) (*Tokenizer, error) {
	if opts == nil {
		opts = &OpenOptions{}
	}
	f, err := openFile(ctx, name, opts.Source)
	if errors.Is(err, vfs.ErrNotRegular) {
		return nil, &ModelError{Path: name, Offset: -1, Err: unsupported("not a regular file")}
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := NewReader(f, f.size)
	var bad *ModelError
	if errors.As(err, &bad) {
		bad.Path = name
	}
	return t, err
}

// openedFile is a file of any source, open for reading.
type openedFile struct {
	io.ReaderAt
	io.Closer
	size int64 // in bytes
}

// openFile opens a file of a source, or of the local file system if src is
// nil. The error matches vfs.ErrNotRegular for a directory, and for a device
// or FIFO of the local file system.
func openFile(ctx context.Context, name string, src source.Source) (*openedFile, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if src == nil {
		f, err := vfs.FromContext(ctx).Open(name)
		if err != nil {
			return nil, err
		}
		return &openedFile{f, f, f.Size()}, nil
	}
	f, err := src.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir {
		err = vfs.ErrNotRegular
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &openedFile{f, f, info.Size}, nil
}

// maxModel is the largest accepted size in bytes of a tokenizer.model or
// tokenizer.json. GGUF files may be larger, because they hold tensors too.
const maxModel = 1 << 28

// NewReader reads a tokenizer from the size bytes of r, in any of the formats
// that Open reads. The tokenizer does not use r after NewReader returns.
//
// NewReader returns a *ModelError if it cannot use the content.
func NewReader(r io.ReaderAt, size int64) (*Tokenizer, error) {
	if size < 0 {
		return nil, optionError("negative size %d: tokenizer.NewReader: give the number of bytes", size)
	}
	header := make([]byte, min(size, 64))
	if err := bounded.ReadFull(r, header, 0); err != nil {
		return nil, modelError("", err)
	}
	kind := detect(header)
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

// detect returns the kind of the model that begins with header. Protobuf has
// no magic number: what no other kind matches is read as SentencePiece.
func detect(header []byte) Kind {
	switch text := bytes.TrimLeft(header, " \t\r\n"); {
	case bytes.HasPrefix(header, []byte("GGUF")):
		return KindGGUF
	case len(text) > 0 && text[0] == '{':
		return KindHuggingFace
	}
	return KindSentencePiece
}

// readKind reads the vocabulary of a model of a known kind.
func readKind(kind Kind, r io.ReaderAt, size int64) (*vocabulary, error) {
	if kind == KindGGUF {
		return readGGUF(r, size)
	}
	if size > maxModel {
		return nil, unsupported("the file has %d bytes, but the largest supported tokenizer has %d", size, maxModel)
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
