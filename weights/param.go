package weights

import "strconv"

// Role is the function of a weight in a LLaMA model.
type Role uint8

// The roles, with their shapes as [out, in], as Meta stores matrices. V is the
// size of the vocabulary, d the width of the model, f the width of the
// feed-forward layers, kv the number of rows of keys and values.
const (
	// Unknown is the role of a tensor whose name no layout has.
	Unknown Role = iota
	// Ignored is the role of a tensor that is not a weight: rotary frequencies
	// and optimizer state. Such a tensor is never added, copied or written.
	Ignored

	Embed    // [V, d], the token embedding
	Q        // [d, d], the queries, rows in pairs for the rotary embedding
	K        // [kv, d], the keys, rows in pairs too
	V        // [kv, d], the values
	O        // [d, d], the output of the attention
	Gate     // [f, d], Meta's w1
	Up       // [f, d], Meta's w3
	Down     // [d, f], Meta's w2
	AttnNorm // [d], before the attention
	FFNNorm  // [d], before the feed-forward layer
	Norm     // [d], after the last layer
	Output   // [V, d], from the last state to logits

	numRoles
)

var roleNames = [numRoles]string{"unknown", "ignored", "embed", "q", "k", "v", "o", "gate", "up", "down", "attn_norm", "ffn_norm", "norm", "output"}

// String returns the name of the role: "q", "attn_norm".
func (r Role) String() string {
	if r < numRoles {
		return roleNames[r]
	}
	return "role " + strconv.Itoa(int(r))
}

// InLayer reports whether every layer has a weight of this role.
func (r Role) InLayer() bool { return r >= Q && r <= FFNNorm }

// IsNorm reports whether the role's weight is a vector of RMSNorm scales.
func (r Role) IsNorm() bool { return r >= AttnNorm && r <= Norm }

// isMatrix reports whether states are multiplied by the weight. Norms are
// vectors, and the rows of the embedding are looked up.
func (r Role) isMatrix() bool { return r >= Q && !r.IsNorm() }

// Param identifies a weight of the model, independent of its name in a file.
type Param struct {
	Layer int  // counted from 0; 0 for roles outside the layers
	Role  Role // the function of the weight
}

// String returns the role, with the layer if it has one: "layer 3 gate".
func (p Param) String() string {
	if p.Role.InLayer() {
		return "layer " + strconv.Itoa(p.Layer) + " " + p.Role.String()
	}
	return p.Role.String()
}

// IsWeight reports whether p is part of the model.
func (p Param) IsWeight() bool { return p.Role > Ignored && p.Role < numRoles }
