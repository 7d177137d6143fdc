package forward

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/koala-go/sdk/internal/memory"
	"github.com/koala-go/sdk/weights"
)

// Load opens a checkpoint and reads all its weights into memory, in Meta's
// layout and each in its own type, but Q8_0 as F32. The checkpoint can be
// closed afterwards. The errors are those of Open and of the pass; a weight
// that is infinite or NaN is found wherever it is.
func Load(ctx context.Context, c *weights.Checkpoint, opts *Options) (*Model, error) {
	m, err := Open(c, opts)
	if err != nil {
		return nil, err
	}
	if err := m.load(ctx); err != nil {
		return nil, err
	}
	m.panels, _ = m.cut(0)
	return m, nil
}

// load reads the embedding and all matrices, several panels at once.
func (m *Model) load(ctx context.Context) error {
	budget := m.options.Memory / 4 / int64(m.options.Workers)
	panels, buffer := m.cut(budget)
	all := make(map[*matrix][]byte, len(m.matrices)+1)
	for first, rows := 0, m.embed.rowsOf(budget, 1); first < m.embed.rows; first += rows {
		panels = append(panels, panel{matrix: m.embed, first: first, count: min(rows, m.embed.rows-first)})
	}
	if m.Config.TiedEmbeddings {
		panels = dropped(panels, weights.Output)
	}
	var total int64
	for _, x := range panels {
		if all[x.matrix] == nil {
			all[x.matrix] = make([]byte, x.bytes())
			memory.HugePages(all[x.matrix])
			total += x.bytes()
		}
	}
	if err := m.fill(ctx, panels, all, buffer, total); err != nil {
		return err
	}
	for x, data := range all {
		x.data = data
	}
	if m.Config.TiedEmbeddings {
		m.matrices[weights.Param{Role: weights.Output}].data = m.embed.data
	}
	return nil
}

func dropped(panels []panel, r weights.Role) (kept []panel) {
	for _, x := range panels {
		if x.param.Role != r {
			kept = append(kept, x)
		}
	}
	return kept
}

// fill reads panels to their places.
func (m *Model) fill(ctx context.Context, panels []panel, all map[*matrix][]byte, buffer, total int64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var group sync.WaitGroup
	report := m.reporter(total)
	for range m.options.Workers {
		group.Go(func() {
			scratch := make([]byte, buffer)
			for i := int(next.Add(1) - 1); i < len(panels) && ctx.Err() == nil; i = int(next.Add(1) - 1) {
				x := panels[i]
				x.tell()
				row := x.view.RowBytes()
				block := all[x.matrix][int64(x.first)*row : int64(x.first+x.count)*row]
				err := x.view.ReadRows(block, int64(x.first), int64(x.count), scratch)
				if err == nil {
					err = x.finite(block, x.first)
				}
				if err != nil {
					cancel(err)
				}
				report(len(block))
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

// reporter gives what workers call when they have read some bytes of a total.
func (m *Model) reporter(total int64) func(n int) {
	if m.options.Progress == nil {
		return func(int) {}
	}
	var mu sync.Mutex
	var done int64
	return func(n int) {
		mu.Lock()
		defer mu.Unlock()
		done += int64(n)
		m.options.Progress(Progress{done, total})
	}
}

// Session is a text that grows: it remembers the keys and values of its tokens,
// so that each token passes the model once. It is for one goroutine at a time.
type Session struct {
	model  *Model
	cache  []layerCache
	length int
	last   *activations
}

// NewSession begins an empty text. The model should be loaded: otherwise each
// call reads all weights from their files.
func (m *Model) NewSession() *Session {
	s := &Session{model: m, cache: make([]layerCache, m.Config.Layers)}
	for l := range s.cache {
		s.cache[l] = newCache(m.Config.KeyHeads())
	}
	return s
}

// Len is the number of tokens of the text.
func (s *Session) Len() int { return s.length }

// Truncate keeps the first n tokens. It panics when there are fewer.
func (s *Session) Truncate(n int) {
	if n < 0 || n > s.length {
		panic("forward: Truncate beyond the text")
	}
	s.length = n
}

// Append adds tokens to the text and gives the logits of what may follow: a
// number for each token of the vocabulary, valid until the next call. When it
// fails, or the context ends, the text is as it was.
//
// Errors are ErrEmpty, *TokenError, *ContextError, *NonFiniteError, those of
// reading, and the context's.
func (s *Session) Append(ctx context.Context, tokens []int32) ([]float32, error) {
	if err := s.model.accept(s.length, tokens); err != nil {
		return nil, err
	}
	if s.last == nil || s.last.tokens != len(tokens) {
		s.last = s.model.newActivations(len(tokens), 1)
	}
	s.last.room(s.length+len(tokens), s.model.options.Workers)
	if err := s.model.pass(ctx, s.last, s.cache, s.length, tokens, nil); err != nil {
		return nil, err
	}
	s.length += len(tokens)
	return s.last.logits, nil
}

// accept refuses tokens that cannot follow a text of a length.
func (m *Model) accept(length int, tokens []int32) error {
	if len(tokens) == 0 {
		return ErrEmpty
	}
	for i, id := range tokens {
		if id < 0 || int(id) >= m.Config.Vocab {
			return &TokenError{i, id, m.Config.Vocab}
		}
	}
	if n := length + len(tokens); n > m.options.Context {
		return &ContextError{n, m.options.Context}
	}
	return nil
}
