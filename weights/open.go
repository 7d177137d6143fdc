package weights

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/source"
)

// OpenOptions holds the options of Open and NewReader. Nil means the zero
// value.
type OpenOptions struct {
	// Heads is the number of attention heads of a checkpoint that does not
	// state it, such as an EasyLM stream of a size that LLaMA was not released
	// in. Zero means: take it from the checkpoint.
	Heads int
	// FollowLinks allows files of a directory to be symbolic links to any
	// place. Without it, links may point inside the directory and into Hugging
	// Face's cache.
	FollowLinks bool
	// Mmap reads the files through memory maps where the system has them, which
	// saves a copy in the kernel. A file that shrinks while it is mapped still
	// gives an error, but the errors of a failing disk are less exact.
	Mmap bool
	// Source is where the files are read from. Nil means the local file system.
	// FollowLinks and Mmap affect local files only.
	Source source.Source
	// Name is the Path of a checkpoint that NewReader opens. Errors name the
	// checkpoint by it. The default is "checkpoint". Open ignores it.
	Name string
}

// Checkpoint is an open checkpoint. Its methods may be called by several
// goroutines at once, except for ResizeVocab and Close.
type Checkpoint struct {
	Path    string    // the name that was given to Open
	Format  Format    // of the files
	Layout  *Layout   // nil if no name of a tensor is known
	Config  Config    // the shape of the model
	Tensors []*Tensor // every tensor of the files, in the order of the files

	dir     string // the directory of config.json and the tokenizer's files, "" if there is none
	options OpenOptions
	storage storage
	files   []*openFile
	checked []checkedPart
	config  func(*Config) error // reads the shape that a file states itself, nil if it does not
	byParam map[Param]*Tensor
}

// Open reads the headers of a checkpoint: a file, or a directory, of any format
// that Formats lists. It recognizes the format by the content, not by the name.
// Open accepts every well-formed file of a known format; call Complete to learn
// whether it is a whole model.
//
// The files are local, or those of OpenOptions.Source. The context governs the
// opening and, for a Source that reads over a network, all later reads.
//
// The error is a *FormatError for a file whose content is invalid, and a
// *ModelError if the number of heads does not fit the tensors. Any other error
// comes from the file system or the Source.
func Open(ctx context.Context, name string, opts *OpenOptions) (*Checkpoint, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
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

// NewReader reads the header of a checkpoint that is one file of size bytes. It
// reads no other file: what a config.json would state, such as the number of
// heads of a safetensors file, comes from the options. Its errors are those of
// Open. Close does not close r.
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

// openSingle opens a checkpoint that is one file.
func (c *Checkpoint) openSingle() error {
	f, err := c.storage.open(c.Path)
	if err != nil {
		return err
	}
	if err := c.addOnly(f); err != nil {
		return err
	}
	if c.Format.row().hasSideFiles {
		c.dir = c.storage.dir(c.Path)
	}
	return nil
}

// addOnly recognizes the format of the only file of a checkpoint and adds the
// file.
func (c *Checkpoint) addOnly(f source.File) error {
	opened, err := c.keep(f, c.Path)
	if err != nil {
		return err
	}
	row, err := detect(opened)
	if err != nil {
		return err
	}
	c.Format = row.name
	return c.addFile(opened)
}

// keep describes an open file and keeps it. The file closes with the
// checkpoint, also if its content is refused.
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
	h, err := c.Format.row().read(f.File, f.info.Size)
	if err != nil {
		return nil, formatError(c.Format, f.path, err)
	}
	c.config = h.config
	for _, sum := range h.checksums {
		c.checked = append(c.checked, checkedPart{sum, f})
	}
	tensors := make([]*Tensor, len(h.tensors))
	for i, t := range h.tensors {
		tensors[i] = &Tensor{
			Name: t.Name, DType: dtype.Type(t.DType), Shape: t.Shape, Path: f.path, Offset: t.Offset, data: t.Data, columns: t.Transposed,
		}
		tensors[i].extents = []extent{{f, t.Offset, tensors[i].Bytes()}}
	}
	return tensors, nil
}

// index finds the Param of each tensor and infers the shape of the model.
func (c *Checkpoint) index() error {
	c.Layout = bestLayout(c.Tensors)
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

// bestLayout returns the layout that knows the most of the names, nil if none
// knows any. Trying all of them is safe: a name of a layer exists in one layout
// only.
func bestLayout(tensors []*Tensor) *Layout {
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

// readConfig completes the shape that the tensors have with the shape that the
// checkpoint states.
func (c *Checkpoint) readConfig() error {
	if err := c.readDeclared(); err != nil {
		return err
	}
	// An output matrix in the files counts, whatever config.json states.
	if c.byParam[Param{Role: Output}] != nil {
		c.Config.TiedEmbeddings = false
	}
	if err := c.Config.inferHeads(c.options.Heads); err != nil {
		return &ModelError{err.Error(), c.Path, "give the number of heads that the model was trained with"}
	}
	return nil
}

// readDeclared reads the shape that the checkpoint states: the metadata of a
// GGUF file, or the config.json or params.json beside the tensors, if it
// exists.
func (c *Checkpoint) readDeclared() error {
	if c.config != nil {
		if err := c.config(&c.Config); err != nil {
			return whole(c.Format, c.Path, ErrMalformed, "%v", err)
		}
		return nil
	}
	name := c.Layout.configFile
	text, err := c.File(name)
	if notExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := c.Layout.readConfig(&c.Config, text); err != nil {
		return whole(c.Format, c.storage.join(c.dir, name), ErrMalformed, "%v", err)
	}
	return nil
}

// Tensor returns the tensor that holds a weight, nil if there is none.
func (c *Checkpoint) Tensor(p Param) *Tensor { return c.byParam[p] }

// Params returns the weights that the checkpoint holds, sorted by layer and
// role.
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
