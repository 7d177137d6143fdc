package torchfile_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/refusal/refusaltest"
	"github.com/koala-go/sdk/internal/torchfile"
)

// TestInterop is the Go half of interop/check_torch.py. It reads every file
// NAME.pt in the folder $KOALA_TORCH, writes its tensors to NAME.koala, and
// describes them in NAME.json: a list of rows of name, dtype, shape and the
// data in hexadecimal, or the refusal.
func TestInterop(t *testing.T) {
	folder := os.Getenv("KOALA_TORCH")
	if folder == "" {
		t.Skip("KOALA_TORCH is not set: run interop/check_torch.py")
	}
	list, err := filepath.Glob(filepath.Join(folder, "*.pt"))
	require.NoError(t, err)
	require.NotEmpty(t, list)
	for _, path := range list {
		base := strings.TrimSuffix(path, ".pt")
		whole, err := os.ReadFile(path)
		require.NoError(t, err)
		var found any
		f, err := torchfile.Read(bytes.NewReader(whole), int64(len(whole)))
		if err != nil {
			found = map[string]any{"error": err.Error()}
		} else {
			found = map[string]any{"tensors": rowsOf(t, f), "unchecked": f.Unchecked, "sums": !wrongSums(whole, f)}
			require.NoError(t, os.WriteFile(base+".koala", write(t, filepath.Base(base), f.Tensors), 0o600))
		}
		text, err := json.Marshal(found)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(base+".json", text, 0o600))
	}
}

type row struct {
	Name  string     `json:"name"`
	DType dtype.Type `json:"dtype"`
	Shape []int64    `json:"shape"`
	Data  string     `json:"data"`
}

func rowsOf(t testing.TB, f *torchfile.File) []row {
	rows := []row{}
	for i := range f.Tensors {
		x := &f.Tensors[i]
		data := refusaltest.DataOf(t, x)
		if x.Transposed != nil {
			require.Equal(t, data, transposed(t, x), x.Name)
		}
		rows = append(rows, row{x.Name, x.DType, append([]int64{}, x.Shape...), hex.EncodeToString(data)})
	}
	return rows
}
