package eval

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/koala-go/sdk/internal/strictjson"
)

// Prediction is the output of a model for one instance of a task.
type Prediction struct {
	ID         string   // of the instance
	Prediction string   // what the model wrote
	References []string // right answers, of which the best match counts
	Task       string   // name of the task, "" if there is none
	Category   string   // name of the category, "" if there is none
}

// RougeReport holds the scores of predictions as Super-NaturalInstructions
// reports them: means over instances, in percent, rounded to four places.
type RougeReport struct {
	RougeScores
	Tasks      map[string]RougeScores `json:"tasks"`      // by name
	Categories map[string]RougeScores `json:"categories"` // by name
}

// RougeScores are the mean scores of some predictions.
type RougeScores struct {
	Rows       int     `json:"rows"`        // number of predictions
	RougeL     float64 `json:"rougeL"`      // F, 0 to 100
	ExactMatch float64 `json:"exact_match"` // 0 to 100
}

// ScorePredictions scores predictions by RougeL and ExactMatch.
func ScorePredictions(list []Prediction) (*RougeReport, error) {
	s, all := NewScorer(), &sums{}
	tasks, categories := map[string]*sums{}, map[string]*sums{}
	for i := range list {
		p := &list[i]
		score, err := s.RougeL(p.Prediction, p.References)
		if err != nil {
			return nil, fmt.Errorf("prediction %.40q: %w", p.ID, err)
		}
		exact := ExactMatch(p.Prediction, p.References)
		all.add(score.F, exact)
		addTo(tasks, p.Task, score.F, exact)
		addTo(categories, p.Category, score.F, exact)
	}
	return &RougeReport{all.scores(), scoresOf(tasks), scoresOf(categories)}, nil
}

// sums adds up scores.
type sums struct {
	rows, exact int
	f           float64
}

func (s *sums) add(f float64, exact bool) {
	s.rows++
	s.f += f
	if exact {
		s.exact++
	}
}

func addTo(groups map[string]*sums, name string, f float64, exact bool) {
	if name == "" {
		return
	}
	if groups[name] == nil {
		groups[name] = &sums{}
	}
	groups[name].add(f, exact)
}

func (s *sums) scores() RougeScores {
	if s.rows == 0 {
		return RougeScores{}
	}
	round := func(x float64) float64 { return math.RoundToEven(x*1e4) / 1e4 }
	n := float64(s.rows)
	return RougeScores{s.rows, round(100 * s.f / n), round(100 * float64(s.exact) / n)}
}

func scoresOf(groups map[string]*sums) map[string]RougeScores {
	scores := make(map[string]RougeScores, len(groups))
	for name, s := range groups {
		scores[name] = s.scores()
	}
	return scores
}

// ReadPredictions reads predictions, one JSON object a line, plain or
// compressed with gzip: {"id", "prediction", "references": […], "task"?,
// "category"?}. Rows of Tk-Instruct, {"id", "prediction", "Task", "Categories",
// "Instance": {"output": […]}}, are read too. Unless references are optional,
// because ReadReferences gives them, a row without references is an error. The
// errors are *LineError, io errors and those of gzip.
func ReadPredictions(r io.Reader, referencesOptional bool) ([]Prediction, error) {
	return readRows(r, func(p *Prediction, has map[string]bool) error {
		switch {
		case !has["prediction"]:
			return errors.New(`the row has no member "prediction"`)
		case len(p.References) == 0 && !referencesOptional:
			return errors.New(`the row has no references: give them in "references", or in a file of their own`)
		}
		return nil
	})
}

// ReadReferences reads rows like those of ReadPredictions, whose predictions
// are optional and not used, and adds their references, tasks and categories to
// the predictions of the same id.
func ReadReferences(r io.Reader, predictions []Prediction) error {
	rows, err := readRows(r, func(p *Prediction, _ map[string]bool) error {
		if len(p.References) == 0 {
			return errors.New("the row has no references")
		}
		return nil
	})
	if err != nil {
		return err
	}
	byID := make(map[string]*Prediction, len(rows))
	for i := range rows {
		byID[rows[i].ID] = &rows[i]
	}
	for i := range predictions {
		p := &predictions[i]
		row := byID[p.ID]
		if row == nil {
			return fmt.Errorf("prediction %.40q has no row in the references: give the references of all predictions", p.ID)
		}
		p.References = row.References
		if row.Task != "" {
			p.Task = row.Task
		}
		if row.Category != "" {
			p.Category = row.Category
		}
	}
	return nil
}

// readRows reads rows, checks each, and refuses an id that occurs twice.
func readRows(r io.Reader, check func(p *Prediction, has map[string]bool) error) ([]Prediction, error) {
	var list []Prediction
	ids := map[string]bool{}
	err := readLines(r, func(text []byte) error {
		p, has, err := parsePrediction(text)
		switch {
		case err != nil:
			return err
		case p.ID == "":
			return errors.New(`the row has no member "id"`)
		case ids[p.ID]:
			return fmt.Errorf("the id %.40q occurs twice", p.ID)
		}
		ids[p.ID] = true
		list = append(list, *p)
		return check(p, has)
	})
	return list, err
}

// parsePrediction reads a row of either form. It returns which members it has.
func parsePrediction(text []byte) (*Prediction, map[string]bool, error) {
	r, p, has := strictjson.New(text, 0), &Prediction{}, map[string]bool{}
	err := r.Object(func(name string) error {
		v, err := r.Value()
		if err != nil {
			return err
		}
		has[name] = v.Kind != 'n'
		if !has[name] {
			return nil
		}
		switch name {
		case "id":
			p.ID = v.Text // a string or a number
		case "prediction":
			p.Prediction, err = stringOf(name, v)
		case "task", "Task":
			p.Task, err = stringOf(name, v)
		case "category":
			p.Category, err = stringOf(name, v)
		case "Categories":
			var all []string
			if all, err = stringsOf(name, v); len(all) > 0 {
				p.Category = all[0]
			}
		case "references":
			p.References, err = stringsOf(name, v)
		case "Instance":
			if output := v.Get("output"); output != nil {
				p.References, err = stringsOf("output", output)
			}
		}
		return err
	})
	if err == nil {
		err = r.End()
	}
	return p, has, err
}

func stringOf(name string, v *strictjson.Value) (string, error) {
	if v.Kind != '"' {
		return "", fmt.Errorf("member %q is not a string", name)
	}
	return v.Text, nil
}

func stringsOf(name string, v *strictjson.Value) ([]string, error) {
	if v.Kind != '[' {
		return nil, fmt.Errorf("member %q is not a list of strings", name)
	}
	list := make([]string, len(v.Items))
	for i, item := range v.Items {
		if item.Kind != '"' {
			return nil, fmt.Errorf("item %d of member %q is not a string", i, name)
		}
		list[i] = item.Text
	}
	return list, nil
}

// maxLine is the longest line that is read, in bytes.
const maxLine = 8 << 20

// readLines calls row with each line that is not empty, of a text that may be
// compressed with gzip. Its errors become *LineError.
func readLines(r io.Reader, row func(text []byte) error) error {
	buffered := bufio.NewReader(r)
	if magic, err := buffered.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		unpacked, err := gzip.NewReader(buffered)
		if err != nil {
			return err
		}
		defer unpacked.Close()
		buffered = bufio.NewReader(unpacked)
	}
	lines := bufio.NewScanner(buffered)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		if err := row(lines.Bytes()); err != nil {
			return &LineError{n, err}
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("a line has more than %d bytes: give one JSON object a line", maxLine)
	} else if err != nil {
		return err
	}
	return nil
}
