package dataset_test

import (
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/koala-go/sdk/dataset"
)

// shared makes a directory with a file of records, and divides the file into
// units of two lines.
func shared() (dir string, units []dataset.Unit) {
	dir, err := os.MkdirTemp("", "shared")
	if err != nil {
		panic(err)
	}
	path := filepath.Join(dir, "in.jsonl")
	text := strings.Repeat(`{"human_0": "a"}`+"\n"+`{"human_0": "b"}`+"\n", 2)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		panic(err)
	}
	if units, err = dataset.Units(context.Background(), dataset.Files(path), 34); err != nil {
		panic(err)
	}
	return dir, units
}

// unit reads the records of a unit.
func unit(u dataset.Unit) iter.Seq2[dataset.Record, error] {
	return dataset.Read(context.Background(), []dataset.Input{u.Input}, &dataset.ReadOptions{Start: u.Start})
}

// Two runs share the units. Each does those of its index.
func ExampleEachUnit() {
	dir, units := shared()
	defer os.RemoveAll(dir)
	for index := range 2 {
		o := &dataset.UnitOptions{Index: index, Count: 2, Fingerprint: "of inputs and options"}
		err := dataset.EachUnit(context.Background(), dir, ".jsonl", units, o, func(u dataset.Unit, path string) error {
			fmt.Println("run", index, "makes", filepath.Base(path))
			return os.WriteFile(path, nil, 0o600)
		})
		fmt.Println(err)
	}
	// Output:
	// run 0 makes unit-00000.jsonl
	// <nil>
	// run 1 makes unit-00001.jsonl
	// <nil>
}

func ExampleCollectUnits() {
	dir, units := shared()
	defer os.RemoveAll(dir)
	for index := range 2 {
		o := &dataset.UnitOptions{Index: index, Count: 2, Fingerprint: "of inputs and options"}
		parts, err := dataset.CollectUnits(context.Background(), dir, units, o, func(u dataset.Unit) (*dataset.Stats, error) {
			var s dataset.Stats
			for r := range unit(u) {
				s.Add("all", &r)
			}
			return &s, nil
		})
		var all dataset.Stats
		for _, part := range parts {
			all.Join(part)
		}
		fmt.Println("run", index, "has all parts:", parts != nil, len(all.Sources), err)
	}
	// Output:
	// run 0 has all parts: false 0 <nil>
	// run 1 has all parts: true 1 <nil>
}

func ExampleDedupUnits() {
	dir, units := shared()
	defer os.RemoveAll(dir)
	for index := range 2 {
		o := &dataset.DedupUnitOptions{UnitOptions: dataset.UnitOptions{Index: index, Count: 2, Fingerprint: "of inputs and options"}}
		err := dataset.DedupUnits(context.Background(), dir, units, o, unit, func(u dataset.Unit, path string, records iter.Seq2[dataset.Record, error]) error {
			n := 0
			for range records {
				n++
			}
			fmt.Println("run", index, "keeps", n, "records of unit", u.Number)
			return os.WriteFile(path, nil, 0o600)
		})
		fmt.Println(err)
	}
	// Output:
	// run 0 keeps 2 records of unit 0
	// <nil>
	// run 1 keeps 0 records of unit 1
	// <nil>
}

func ExampleMixUnits() {
	dir, units := shared()
	defer os.RemoveAll(dir)
	sources := []dataset.MixUnitSource{{Name: "in", Weight: 1, Inputs: []dataset.Input{units[0].Input}}}
	for index := range 2 {
		o := &dataset.MixUnitOptions{UnitOptions: dataset.UnitOptions{Index: index, Count: 2, Fingerprint: "of inputs and options"}, Shuffle: true, Size: 34}
		fmt.Println(dataset.MixUnits(context.Background(), filepath.Join(dir, "out"), sources, o, unit))
	}
	names, err := filepath.Glob(dir + "/out/*.jsonl")
	fmt.Println(len(names), err)
	// Output:
	// <nil>
	// <nil>
	// 2 <nil>
}
