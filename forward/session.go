package forward

import "context"

// Session is a text that grows. It keeps the keys and values of its tokens, so
// that each token passes the model once. A Session must not be used by several
// goroutines at once.
type Session struct {
	model  *Model
	cache  []layerCache
	length int
	last   *activations // of the last call of Append, for the next one
}

// NewSession begins an empty text. The model should be in memory, by Load:
// otherwise each call of Append reads all weights from their files.
func (m *Model) NewSession() *Session {
	s := &Session{model: m, cache: make([]layerCache, m.Config.Layers)}
	for l := range s.cache {
		s.cache[l] = newCache(m.Config.KeyHeads())
	}
	return s
}

// Len returns the number of tokens of the text.
func (s *Session) Len() int { return s.length }

// Truncate keeps the first n tokens. It panics if the text has fewer.
func (s *Session) Truncate(n int) {
	if n < 0 || n > s.length {
		panic("forward: Truncate beyond the text")
	}
	s.length = n // the next pass truncates the cache
}

// Append adds tokens to the text and returns the logits of the token that may
// follow: one for each token of the vocabulary, valid until the next call. If
// Append fails or the context ends, the text is unchanged.
//
// Errors are ErrEmpty, *TokenError, *ContextError, *weights.NonFiniteError, the
// errors of reading, and the context's.
func (s *Session) Append(ctx context.Context, tokens []int32) ([]float32, error) {
	if err := s.model.checkTokens(s.length, tokens); err != nil {
		return nil, err
	}
	if s.last == nil || s.last.tokens != len(tokens) {
		s.last = s.model.newActivations(len(tokens), 1)
	}
	s.last.growScores(s.length+len(tokens), s.model.options.Workers)
	if err := s.model.pass(ctx, s.last, s.cache, s.length, tokens, nil); err != nil {
		return nil, err
	}
	s.length += len(tokens)
	return s.last.logits, nil
}

// checkTokens refuses tokens that cannot follow a text of the given length.
func (m *Model) checkTokens(length int, tokens []int32) error {
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
