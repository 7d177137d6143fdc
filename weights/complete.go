package weights

import (
	"fmt"
	"slices"
	"strings"
)

// Complete is nil when the checkpoint is one whole LLaMA model: every weight
// of every layer, each of the shape that the others imply, in a type that
// weights come in, and no tensor of unknown meaning. Otherwise it is a
// *ModelError.
func (c *Checkpoint) Complete() error {
	for _, check := range []func() string{c.unnamed, c.missing, c.unknown, c.misshapen} {
		if problem := check(); problem != "" {
			return &ModelError{problem, c.Path, "take a whole LLaMA checkpoint"}
		}
	}
	return nil
}

// Runnable is nil when the checkpoint is Complete, and what it says of itself
// is enough to run the model: the number of heads is known, and the rotary
// embeddings are not scaled. Otherwise it is a *ModelError.
func (c *Checkpoint) Runnable() error {
	if err := c.Complete(); err != nil {
		return err
	}
	switch {
	case c.Config.Heads == 0:
		return headsError(c.Path)
	case c.Config.Heads%c.Config.KeyHeads() != 0:
		return &ModelError{fmt.Sprintf("%d heads of keys do not divide %d heads of queries", c.Config.KeyHeads(), c.Config.Heads), c.Path,
			"give the number of heads that the model was trained with"}
	case c.Config.scaled:
		return &ModelError{"the model's rotary embeddings are scaled, as no LLaMA's of 2023 are", c.Path, "take a model without rope_scaling, or another program"}
	}
	return nil
}

func (c *Checkpoint) unnamed() string {
	if c.Layout == nil || c.Config.Layers == 0 {
		return "no tensor has the name of a LLaMA layer's weight"
	}
	return ""
}

func (c *Checkpoint) missing() string {
	if c.Config.Layers > len(c.Tensors) {
		return fmt.Sprintf("%d layers are numbered, with %d tensors in all", c.Config.Layers, len(c.Tensors))
	}
	var names []string
	for _, p := range c.Config.Params() {
		if c.byParam[p] == nil {
			names = append(names, c.Layout.Name(p))
		}
	}
	return listed("missing", names)
}

func (c *Checkpoint) unknown() string {
	var names []string
	for _, t := range c.Tensors {
		if t.Param.Role == Unknown {
			names = append(names, t.Name)
		}
	}
	return listed("not of a LLaMA model", names)
}

func (c *Checkpoint) misshapen() string {
	if c.Config.Dim == 0 || c.Config.FFN == 0 || c.Config.Vocab == 0 {
		return "the tensors have no elements"
	}
	for _, p := range c.Params() {
		t := c.byParam[p]
		if want := c.Layout.Shape(p.Role, &c.Config); !slices.Equal(want, t.Shape) {
			return fmt.Sprintf("tensor %q has shape %v where %v is due", t.Name, t.Shape, want)
		}
		if !t.DType.IsWeight() {
			return fmt.Sprintf("tensor %q is of type %s; weights are dtype.F16, dtype.BF16 or F32", t.Name, t.DType)
		}
	}
	return ""
}

// listed names up to three of some tensors, "" when there are none.
func listed(what string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	more := ""
	if len(names) > 3 {
		names, more = names[:3], fmt.Sprintf(" and %d more", len(names)-3)
	}
	return fmt.Sprintf("tensors %s: %s%s", what, strings.Join(names, ", "), more)
}
