package weights

import (
	"errors"
	"path/filepath"
	"slices"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/gguf"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/vfs"
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
	// FS is the file system, nil for the machine's own. Its type is internal:
	// it is for the module's tests of failing disks.
	FS vfs.FS
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
	fs       vfs.FS
	files    []openedFile
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
func Open(path string, opts *OpenOptions) (*Checkpoint, error) {
	if opts == nil {
		opts = &OpenOptions{}
	}
	c := &Checkpoint{Path: path, options: *opts, fs: opts.FS}
	if c.fs == nil {
		c.fs = vfs.OS
	}
	if opts.Mmap {
		c.fs = vfs.Mapped(c.fs)
	}
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
	if c.Format == FormatSafetensors || c.Format == FormatTorch {
		c.dir = filepath.Dir(c.Path)
	}
	return c.addFile(f, c.Path)
}

// addFile reads the header of an open file and keeps the file.
func (c *Checkpoint) addFile(f vfs.File, path string) error {
	tensors, err := c.readFile(f, path)
	c.Tensors = append(c.Tensors, tensors...)
	return err
}

// readFile reads the header of an open file and keeps the file, which closes
// with the checkpoint also when it is refused.
func (c *Checkpoint) readFile(f vfs.File, path string) ([]*Tensor, error) {
	opened, err := newOpenedFile(f, path)
	c.files = append(c.files, opened)
	if err != nil {
		return nil, err
	}
	h, err := readHeader(c.Format, f)
	if err != nil {
		return nil, formatError(c.Format, path, err)
	}
	c.metadata = h.metadata
	for _, s := range h.storages {
		c.sums = append(c.sums, checksum{f, path, s})
	}
	tensors := make([]*Tensor, len(h.tensors))
	for i, t := range h.tensors {
		tensors[i] = &Tensor{
			Name: t.Name, DType: dtype.Type(t.DType), Shape: t.Shape, Path: path, Offset: t.Offset, data: t.Data, turned: t.Transposed,
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
		return whole(c.Format, filepath.Join(c.dir, name), ErrMalformed, "%v", err)
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
