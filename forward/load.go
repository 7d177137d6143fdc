package forward

import (
	"context"
	"slices"

	"github.com/koala-go/sdk/internal/memory"
	"github.com/koala-go/sdk/internal/parallel"
	"github.com/koala-go/sdk/weights"
)

// Load opens a checkpoint and reads all its weights into memory, in Meta's
// layout. Each weight keeps its type, but Q8_0 becomes F32. The checkpoint can be
// closed afterwards.
//
// Errors are those of Open and of Model.Logits. Load finds every weight that is
// infinite or NaN.
func Load(ctx context.Context, c *weights.Checkpoint, opts *Options) (*Model, error) {
	m, err := Open(ctx, c, opts)
	if err != nil {
		return nil, err
	}
	if err := m.load(ctx); err != nil {
		return nil, err
	}
	m.panels, _ = m.divide(0) // panels in memory are smaller than those that are read
	return m, nil
}

// load reads the embedding and all matrices, several panels at once.
func (m *Model) load(ctx context.Context) error {
	budget := m.options.Memory / 4 / int64(m.options.Workers)
	panels, buffer := m.divide(budget)
	for first, rows := 0, m.embed.panelRows(budget, 1); first < m.embed.rows; first += rows {
		panels = append(panels, panel{matrix: m.embed, first: first, count: min(rows, m.embed.rows-first)})
	}
	if m.Config.TiedEmbeddings {
		panels = slices.DeleteFunc(panels, func(x panel) bool { return x.param.Role == weights.Output })
	}
	blocks := make(map[*matrix][]byte, len(m.matrices)+1)
	var total int64
	for _, x := range panels {
		if blocks[x.matrix] == nil {
			blocks[x.matrix] = make([]byte, x.bytes())
			memory.HugePages(blocks[x.matrix])
			total += x.bytes()
		}
	}
	if err := m.readPanels(ctx, panels, blocks, buffer, total); err != nil {
		return err
	}
	// The matrices count as in memory from here on, and not earlier: until then
	// their panels must be read from the files.
	for x, data := range blocks {
		x.data = data
	}
	if m.Config.TiedEmbeddings {
		m.matrices[weights.Param{Role: weights.Output}].data = m.embed.data
	}
	return nil
}

// readPanels reads panels into the blocks of their matrices and checks that they
// are finite. Workers have scratch space of the given size.
func (m *Model) readPanels(ctx context.Context, panels []panel, blocks map[*matrix][]byte, scratch, total int64) error {
	read := m.newCounter(total)
	return parallel.ForState(ctx, m.options.Workers, len(panels),
		func(int) []byte { return make([]byte, scratch) },
		func(_ context.Context, scratch []byte, i int) error {
			x := panels[i]
			x.startPrefetch()
			size := x.view.RowBytes()
			block := blocks[x.matrix][int64(x.first)*size : int64(x.first+x.count)*size]
			if err := x.view.ReadRows(block, int64(x.first), int64(x.count), scratch); err != nil {
				return err
			}
			if err := x.checkFinite(block, x.first); err != nil {
				return err
			}
			read.Add(int64(len(block)))
			return nil
		})
}
