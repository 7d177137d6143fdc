package weights

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/koala-go/sdk/internal/flax"
	"github.com/koala-go/sdk/internal/safetensors"
	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/internal/wire"
)

// Format is a file format.
type Format string

// The formats that Open reads.
const (
	FormatSafetensors Format = "safetensors" // one file, or a Hugging Face directory
	FormatEasyLM      Format = "easylm"      // EasyLM's msgpack stream
	FormatFlax        Format = "flax"        // flax's single msgpack map
)

// OpenOptions are the choices of Open; nil means the zero value.
type OpenOptions struct {
	// Heads is the number of attention heads, for checkpoints that do not
	// tell it: an EasyLM stream of none of LLaMA's released sizes.
	Heads int
	// FollowLinks allows shards to be symbolic links to anywhere. Without it
	// they may point inside their directory and into Hugging Face's cache.
	FollowLinks bool
}

// Checkpoint is an open checkpoint. It is safe for concurrent use.
type Checkpoint struct {
	Path    string
	Format  Format
	Layout  *Layout // nil when no tensor's name is known
	Config  Config
	Tensors []*Tensor // all that the files hold, in the files' order

	dir     string // where config.json and the tokenizer's files lie, "" when nowhere
	options OpenOptions
	fs      vfs.FS
	files   []vfs.File
	byParam map[Param]*Tensor
}

// Open reads the headers of a checkpoint: a file or a directory of any format
// that the package lists. The format is told from the content. Any
// well-formed file of a known format opens; Complete says whether it is a
// whole model.
//
// Errors are *FormatError for bad content, *ModelError where the number of
// heads does not fit the tensors, and the system's for files that cannot be
// read.
func Open(path string, opts *OpenOptions) (*Checkpoint, error) {
	if opts == nil {
		opts = &OpenOptions{}
	}
	c := &Checkpoint{Path: path, options: *opts, fs: vfs.OS}
	if err := c.open(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Checkpoint) open() error {
	info, err := c.fs.Stat(c.Path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		err = c.openDir()
	} else {
		err = c.openFile()
	}
	if err != nil {
		return err
	}
	return c.index()
}

// Close closes the files. Tensors cannot be read afterwards.
func (c *Checkpoint) Close() error {
	var err error
	for _, f := range c.files {
		err = errors.Join(err, f.Close())
	}
	c.files = nil
	return err
}

// openFile reads a checkpoint that is one file.
func (c *Checkpoint) openFile() error {
	f, err := c.fs.Open(c.Path)
	if err != nil {
		return err
	}
	if c.Format, err = detect(f, c.Path); err != nil {
		return errors.Join(err, f.Close())
	}
	if c.Format == FormatSafetensors {
		c.dir = filepath.Dir(c.Path)
	}
	return c.addFile(f, c.Path)
}

// addFile reads the header of an open file and keeps the file.
func (c *Checkpoint) addFile(f vfs.File, path string) error {
	c.files = append(c.files, f)
	var list []wire.Tensor
	switch c.Format {
	case FormatSafetensors:
		header, err := safetensors.Read(f, f.Size())
		if err != nil {
			return formatError(c.Format, path, err)
		}
		list = header.Tensors
	default:
		header, err := flax.Read(f, f.Size())
		if err != nil {
			return formatError(c.Format, path, err)
		}
		list = header.Tensors
	}
	for _, t := range list {
		c.Tensors = append(c.Tensors, &Tensor{
			Name: t.Name, DType: DType(t.DType), Shape: t.Shape, Path: path, Offset: t.Offset, data: t.Data,
		})
	}
	return nil
}

// magics are the first bytes of formats that are known but not read.
var magics = []struct{ prefix, what, todo string }{
	{"PK\x03\x04", "a torch zip (.pth, .bin) is not read yet", "convert it to safetensors first"},
	{"\x80\x02", "a torch pickle without a zip is not read", "load and save it with a newer torch as safetensors"},
	{"GGUF", "GGUF is not read yet", "take the safetensors that it was made from"},
	{"\x1f\x8b", "the file is compressed with gzip", "unpack it"},
	{"\x28\xb5\x2f\xfd", "the file is compressed with zstd", "unpack it"},
	{"version https://git-lfs", "the file is a Git LFS pointer", "fetch the real one with git lfs pull"},
}

// detect tells the format from the first bytes.
func detect(f vfs.File, path string) (Format, error) {
	head := make([]byte, min(f.Size(), 24))
	if err := wire.ReadFull(f, head, 0); err != nil {
		return "", fmt.Errorf("reading %s: %w", path, err)
	}
	if bytes.HasPrefix(head[min(4, len(head)):], []byte("\x00\x00\x00\x00{")) {
		return FormatSafetensors, nil // whatever the length before it looks like
	}
	for _, m := range magics {
		if len(head) >= len(m.prefix) && string(head[:len(m.prefix)]) == m.prefix {
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
		"give safetensors, an EasyLM stream or a flax map")
}

// isArray is true of the first byte of a msgpack list.
func isArray(b byte) bool { return b&0xf0 == 0x90 || b == 0xdc || b == 0xdd }

// index finds out what each tensor is, and the model's shape.
func (c *Checkpoint) index() error {
	c.Layout = mostNamed(c.Tensors)
	c.byParam = make(map[Param]*Tensor, len(c.Tensors))
	if c.Layout == nil {
		return nil
	}
	for _, t := range c.Tensors {
		t.layout, t.Param = c.Layout, c.Layout.Param(t.Name)
		if !t.Param.IsWeight() {
			continue
		}
		if twin := c.byParam[t.Param]; twin != nil {
			return &FormatError{Format: c.Format, Path: t.Path, Offset: t.Offset, Tensor: t.Name,
				Err: wire.Reason(ErrMalformed, "is the same weight as %q", twin.Name)}
		}
		c.byParam[t.Param] = t
	}
	c.Config.inferShape(c.Tensors)
	return c.readConfig()
}

// mostNamed is the layout that knows most of the names.
func mostNamed(tensors []*Tensor) *Layout {
	var best *Layout
	most := 0
	for _, l := range layouts {
		n := 0
		for _, t := range tensors {
			if l.Param(t.Name).IsWeight() {
				n++
			}
		}
		if n > most {
			best, most = l, n
		}
	}
	return best
}

// readConfig takes over the config.json beside the tensors, if there is one.
func (c *Checkpoint) readConfig() error {
	if text, err := c.File("config.json"); err == nil {
		if err := c.Config.readHF(text); err != nil {
			return whole(c.Format, filepath.Join(c.dir, "config.json"), ErrMalformed, "%v", err)
		}
	} else if !notExist(err) {
		return err
	}
	if c.byParam[Param{Role: Output}] != nil {
		c.Config.TiedEmbeddings = false
	}
	if err := c.Config.inferHeads(c.options.Heads); err != nil {
		return &ModelError{err.Error(), c.Path, "give the number of heads that the model was trained with"}
	}
	return nil
}

// Tensor is the tensor that holds a weight, nil when there is none.
func (c *Checkpoint) Tensor(p Param) *Tensor { return c.byParam[p] }

// Params lists the weights that the checkpoint holds, by layer and role.
func (c *Checkpoint) Params() []Param {
	params := make([]Param, 0, len(c.byParam))
	for p := range c.byParam {
		params = append(params, p)
	}
	slices.SortFunc(params, compareParams)
	return params
}

func compareParams(a, b Param) int {
	if a.Role.InLayer() && b.Role.InLayer() && a.Layer != b.Layer {
		return a.Layer - b.Layer
	}
	return int(a.Role) - int(b.Role)
}
