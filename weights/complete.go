package weights

import (
	"fmt"
	"slices"
	"strings"
)

// Complete returns nil if the checkpoint is one whole LLaMA model: it has every
// weight of every layer, each of the shape that the others imply and of a type
// that can hold weights, and no tensor of unknown meaning. Otherwise it returns
// a *ModelError.
func (c *Checkpoint) Complete() error {
	for _, check := range []func() string{c.unnamed, c.missing, c.unknown, c.misshapen} {
		if problem := check(); problem != "" {
			return &ModelError{problem, c.Path, "take a whole LLaMA checkpoint"}
		}
	}
	return nil
}

// Runnable returns nil if the checkpoint is Complete and states enough to run
// the model: the number of heads is known, and the rotary embeddings are not
// scaled. Otherwise it returns a *ModelError.
func (c *Checkpoint) Runnable() error {
	if err := c.Complete(); err != nil {
		return err
	}
	switch {
	case c.Config.Heads == 0:
		return headsError(c.Path)
	case c.Config.Heads%c.Config.KeyHeads() != 0:
		return &ModelError{fmt.Sprintf("%d key heads do not divide %d query heads", c.Config.KeyHeads(), c.Config.Heads), c.Path,
			"give the number of heads that the model was trained with"}
	case c.Config.scaled:
		return &ModelError{"the rotary embeddings are scaled, which LLaMA's of 2023 are not", c.Path, "take a model without rope_scaling"}
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
		return fmt.Sprintf("the names of the tensors count %d layers, but there are only %d tensors", c.Config.Layers, len(c.Tensors))
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
			return fmt.Sprintf("tensor %q has shape %v, want %v", t.Name, t.Shape, want)
		}
		if !t.DType.IsWeight() {
			return fmt.Sprintf("tensor %q has type %s, which cannot hold weights", t.Name, t.DType)
		}
	}
	return ""
}

// listed names up to three tensors of a list. It returns "" for an empty list.
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
