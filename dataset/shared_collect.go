package dataset

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
)

// CollectUnits is EachUnit for a step with one result for all units. do returns
// the part of a unit, which is kept as JSON. If all units are done, CollectUnits
// returns their parts in order, which the caller joins and publishes: see
// PublishShared. Else it returns nil. More than one run may get the parts.
func CollectUnits[T any](ctx context.Context, dir string, units []Unit, opts *UnitOptions, do func(u Unit) (T, error)) ([]T, error) {
	r, err := newUnitRun(ctx, dir, opts)
	if err != nil {
		return nil, err
	}
	err = r.each(".json", units, func(u Unit, path string) error {
		part, err := do(u)
		if err != nil {
			return err
		}
		text, err := json.Marshal(part)
		if err != nil {
			return err
		}
		return r.put(path, append(text, '\n'))
	})
	if err != nil {
		return nil, err
	}
	if done, err := r.allDone(units); err != nil || !done {
		return nil, err
	}
	parts := make([]T, len(units))
	for i, u := range units {
		path := filepath.Join(dir, unitName(u.Number)+".json")
		found, err := readJSON(r.fs, path, &parts[i])
		if err == nil && !found {
			err = &Error{File: path, Err: errors.New("the unit has a marker but no result: remove the marker")}
		}
		if err != nil {
			return nil, err
		}
	}
	return parts, nil
}
