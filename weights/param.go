package weights

import "strconv"

// Role is what a weight does in a LLaMA model.
type Role uint8

// The roles. Vocabulary V, model width d, feed-forward width f; shapes as
// [out, in], which is how Meta stores matrices.
const (
	// Unknown is a tensor that no layout names.
	Unknown Role = iota
	// Ignored is a tensor that lies in checkpoints and is no weight: rotary
	// frequencies and optimizer state. It is never added, copied or written.
	Ignored

	Embed    // [V, d]
	Q        // [d, d], rows in pairs for rotary embedding
	K        // [kv, d], as Q
	V        // [kv, d]
	O        // [d, d]
	Gate     // [f, d], Meta's w1
	Up       // [f, d], Meta's w3
	Down     // [d, f], Meta's w2
	AttnNorm // [d]
	FFNNorm  // [d]
	Norm     // [d], after the last layer
	Output   // [V, d]

	numRoles
)

var roleNames = [numRoles]string{"unknown", "ignored", "embed", "q", "k", "v", "o", "gate", "up", "down", "attn_norm", "ffn_norm", "norm", "output"}

func (r Role) String() string {
	if r < numRoles {
		return roleNames[r]
	}
	return "role " + strconv.Itoa(int(r))
}

// InLayer says whether every layer has a weight of this role.
func (r Role) InLayer() bool { return r >= Q && r <= FFNNorm }

// IsNorm says whether the role's weight is a vector of RMSNorm scales.
func (r Role) IsNorm() bool { return r >= AttnNorm && r <= Norm }

// isMatrix is true of the weights that multiply: all but norms and the
// embedding, whose rows are looked up.
func (r Role) isMatrix() bool { return r >= Q && !r.IsNorm() }

// Param is what a weight is, whatever a file calls it.
type Param struct {
	Layer int // from 0; 0 for roles outside the layers
	Role  Role
}

// String is the role, with its layer where it has one: "layer 3 gate".
func (p Param) String() string {
	if p.Role.InLayer() {
		return "layer " + strconv.Itoa(p.Layer) + " " + p.Role.String()
	}
	return p.Role.String()
}

// IsWeight says whether the Param is a part of the model.
func (p Param) IsWeight() bool { return p.Role > Ignored && p.Role < numRoles }
