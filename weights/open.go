package weights

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/gguf"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/source"
)

// OpenOptions are the choices of Open; nil means the zero value.
type OpenOptions struct {
	// Heads is the number of attention heads, for checkpoints that do not
	// tell it: an EasyLM stream of none of LLaMA's released sizes.
	Heads int
	// FollowLinks allows shards to be symbolic links to anywhere. Without it
	// they may point inside their directory and into Hugging Face's cache.
	FollowLinks bool
	// Mmap reads the files through memory maps, where the system has them. It
	// saves a copy in the kernel; a file that shrinks meanwhile is an error
	// all the same, but on a failing disk errors are less exact.
	Mmap bool
	// Source is where the files are read from. Nil means the local file
	// system. FollowLinks and Mmap are for local files only.
	Source source.Source
	// Name is the Path of a checkpoint that NewReader opens, as errors name it.
	// The default is "checkpoint".
	Name string
}

// Checkpoint is an open checkpoint. It is safe for concurrent use, but for
// ResizeVocab.
type Checkpoint struct {
	Path    string
	Format  Format
	Layout  *Layout // nil when no tensor's name is known
	Config  Config
	Tensors []*Tensor // all that the files hold, in the files' order

	dir      string // where config.json and the tokenizer's files lie, "" when nowhere
	options  OpenOptions
	storage  storage
	files    []*openFile
	sums     []checksum
	metadata *gguf.Metadata
	byParam  map[Param]*Tensor
}

// Open reads the headers of a checkpoint: a file or a directory of any format
// that the package lists. The format is told from the content. Any
// well-formed file of a known format opens; Complete says whether it is a
// whole model.
//
// Errors are *FormatError for bad content, *ModelError where the number of
// heads does not fit the tensors, and the system's for files that cannot be
// read.
func Open(ctx context.Context, name string, opts *OpenOptions) (*Checkpoint, error) {
	c := newCheckpoint(name, opts)
	if c.options.Source != nil {
		c.storage = &sourceFiles{ctx, c.options.Source}
	} else {
		fsys := vfs.FromContext(ctx)
		if c.options.Mmap {
			fsys = vfs.Mapped(fsys)
		}
		c.storage = &localFiles{fsys, c.options.FollowLinks}
	}
	if err := c.open(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// NewReader reads the header of a checkpoint that is one file of size bytes,
// with no other files beside it: what no reader tells, such as the number of
// heads of a safetensors file, comes from the options. Close does not close r.
// Errors are those of Open.
func NewReader(r io.ReaderAt, size int64, opts *OpenOptions) (*Checkpoint, error) {
	c := newCheckpoint("", opts)
	c.Path = cmp.Or(c.options.Name, "checkpoint")
	f := readerFile{r, source.Info{Name: c.Path, Size: size}}
	err := c.addOnly(f)
	if err == nil {
		err = c.index()
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func newCheckpoint(path string, opts *OpenOptions) *Checkpoint {
	c := &Checkpoint{Path: path}
	if opts != nil {
		c.options = *opts
	}
	return c
}

func (c *Checkpoint) open() error {
	info, err := c.storage.stat(c.Path)
	if err != nil {
		return err
	}
	if info.IsDir {
		err = c.openDir()
	} else {
		err = c.openSingle()
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

// openSingle reads a checkpoint that is one file.
func (c *Checkpoint) openSingle() error {
	f, err := c.storage.open(c.Path)
	if err != nil {
		return err
	}
	if err := c.addOnly(f); err != nil {
		return err
	}
	if c.Format == FormatSafetensors || c.Format == FormatTorch {
		c.dir = c.storage.dir(c.Path)
	}
	return nil
}

// addOnly recognizes the format of the only file of a checkpoint and adds it.
func (c *Checkpoint) addOnly(f source.File) error {
	opened, err := c.keep(f, c.Path)
	if err != nil {
		return err
	}
	if c.Format, err = detect(opened); err != nil {
		return err
	}
	return c.addFile(opened)
}

// keep describes an open file. The file closes with the checkpoint, also when
// it is refused.
func (c *Checkpoint) keep(f source.File, path string) (*openFile, error) {
	opened, err := newOpenFile(f, path)
	c.files = append(c.files, opened)
	return opened, err
}

// addFile reads the header of an open file and adds its tensors.
func (c *Checkpoint) addFile(f *openFile) error {
	tensors, err := c.readFile(f)
	c.Tensors = append(c.Tensors, tensors...)
	return err
}

// readFile reads the header of an open file.
func (c *Checkpoint) readFile(f *openFile) ([]*Tensor, error) {
	h, err := readHeader(c.Format, f)
	if err != nil {
		return nil, formatError(c.Format, f.path, err)
	}
	c.metadata = h.metadata
	for _, s := range h.storages {
		c.sums = append(c.sums, checksum{f, s})
	}
	tensors := make([]*Tensor, len(h.tensors))
	for i, t := range h.tensors {
		tensors[i] = &Tensor{
			Name: t.Name, DType: dtype.Type(t.DType), Shape: t.Shape, Path: f.path, Offset: t.Offset, data: t.Data, turned: t.Transposed,
		}
		tensors[i].extents = []extent{{f, t.Offset, tensors[i].Bytes()}}
	}
	return tensors, nil
}

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
				Err: refusal.Reason(ErrMalformed, "is the same weight as %q", twin.Name)}
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

// readConfig takes over what the checkpoint says of its model's shape.
func (c *Checkpoint) readConfig() error {
	if err := c.readStated(); err != nil {
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

// readStated reads the metadata of a GGUF file, or the params.json or
// config.json beside the tensors, if there is one.
func (c *Checkpoint) readStated() error {
	if c.metadata != nil {
		if err := c.Config.readGGUF(c.metadata); err != nil {
			return whole(c.Format, c.Path, ErrMalformed, "%v", err)
		}
		return nil
	}
	name, read := "config.json", c.Config.readHF
	if c.Layout == Meta {
		name, read = "params.json", c.Config.readMeta
	}
	text, err := c.File(name)
	if notExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := read(text); err != nil {
		return whole(c.Format, c.storage.join(c.dir, name), ErrMalformed, "%v", err)
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
