package eval

import (
	"fmt"
	"math"
	"slices"
)

// Ratings is the result of a rating study.
type Ratings struct {
	Kind      Kind           `json:"kind"`      // Rating
	Judgments int            `json:"judgments"` // number of ratings
	Raters    int            `json:"raters"`    // number of raters
	Systems   []SystemRating `json:"systems"`   // in the order in which they are named first
	Agreement Agreement      `json:"agreement"` // of the raters, over all systems
	Excluded  []Exclusion    `json:"excluded"`  // judgments that rules removed
}

// SystemRating is the result of one system.
type SystemRating struct {
	System    string   `json:"system"`    // its name
	Items     int      `json:"items"`     // with a rating
	Judgments int      `json:"judgments"` // number of ratings
	Mean      float64  `json:"mean"`      // of the means of the items
	MeanCI    Interval `json:"mean_ci"`   // by resampling items
	// WeightedMean is Σ f·m/Σ f over the categories, with frequency f and mean m
	// of the category. It is nil without frequencies.
	WeightedMean   *float64         `json:"weighted_mean"`
	WeightedMeanCI *Interval        `json:"weighted_mean_ci"` // by resampling items within categories
	Categories     []CategoryRating `json:"categories"`       // by name
}

// CategoryRating is the result of one system in one category.
type CategoryRating struct {
	Category  string   `json:"category"`  // its name
	Frequency *float64 `json:"frequency"` // nil if it is not known
	Items     int      `json:"items"`     // with a rating
	Mean      float64  `json:"mean"`      // of the means of the items
	CI        Interval `json:"ci"`        // by resampling items
}

// Categories says to which category items belong, and how frequent categories
// are where the systems are used. The frequencies need not add up to 100 or 1.
type Categories struct {
	Of        map[string]string  // the category of an item
	Frequency map[string]float64 // of a category
}

// check returns an error for a frequency that is not positive, and for a
// category of an item without a frequency where there are frequencies.
func (c *Categories) check() error {
	for name, f := range c.Frequency {
		if !(f > 0) || math.IsInf(f, 0) {
			return fmt.Errorf("category %q has the frequency %v: give a positive number", name, f)
		}
	}
	if len(c.Frequency) == 0 {
		return nil
	}
	for item, category := range c.Of {
		if _, ok := c.Frequency[category]; !ok {
			return fmt.Errorf("category %q of item %q has no frequency: give one for each category", category, item)
		}
	}
	return nil
}

// Rate evaluates ratings. categories may be nil.
func Rate(list []Judgment, categories *Categories, opts *Resampling) (*Ratings, error) {
	list, err := Current(list)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 || list[0].Kind() != Rating {
		return nil, ErrKind
	}
	if categories == nil {
		categories = &Categories{}
	}
	if err := categories.check(); err != nil {
		return nil, err
	}
	r := &Ratings{Kind: Rating, Judgments: len(list), Excluded: []Exclusion{}}
	var units [][]float64
	raters := map[string]bool{}
	for i := range list {
		raters[list[i].Rater] = true
	}
	r.Raters = len(raters)
	for _, s := range groupSystems(list) {
		r.Systems = append(r.Systems, s.evaluate(categories, opts))
		units = append(units, s.units...)
	}
	r.Agreement = agree(units, Rating)
	return r, nil
}

// rated is a system with its items in their order.
type rated struct {
	name  string
	items []string
	place map[string]int
	units [][]float64 // the scores of each item
}

func groupSystems(list []Judgment) []*rated {
	var systems []*rated
	for i := range list {
		j := &list[i]
		at := slices.IndexFunc(systems, func(s *rated) bool { return s.name == j.System })
		if at < 0 {
			at = len(systems)
			systems = append(systems, &rated{name: j.System, place: map[string]int{}})
		}
		s := systems[at]
		k, ok := s.place[j.Item]
		if !ok {
			k = len(s.items)
			s.place[j.Item] = k
			s.items, s.units = append(s.items, j.Item), append(s.units, nil)
		}
		s.units[k] = append(s.units[k], float64(j.Score))
	}
	return systems
}

func (s *rated) evaluate(c *Categories, opts *Resampling) SystemRating {
	means := make([]float64, len(s.items))
	result := SystemRating{System: s.name, Items: len(s.items), Categories: []CategoryRating{}}
	for i, scores := range s.units {
		result.Judgments += len(scores)
		means[i] = mean(scores)
	}
	result.Mean = mean(means)
	result.MeanCI = meanInterval(means, opts)
	names, strata := s.strata(c)
	for i, name := range names {
		of := CategoryRating{Category: name, Items: len(strata[i])}
		if f, ok := c.Frequency[name]; ok {
			of.Frequency = &f
		}
		within := make([]float64, len(strata[i]))
		for k, item := range strata[i] {
			within[k] = means[item]
		}
		of.Mean, of.CI = mean(within), meanInterval(within, opts)
		result.Categories = append(result.Categories, of)
	}
	if len(c.Frequency) > 0 && len(names) > 0 {
		weighted := weightedMean(names, strata, c.Frequency, means)
		interval := StratifiedBootstrap(strata, 1, opts, func(sample []int, out []float64) {
			drawn, at := make([][]int, len(strata)), 0
			for i := range strata {
				drawn[i] = sample[at : at+len(strata[i])]
				at += len(strata[i])
			}
			out[0] = weightedMean(names, drawn, c.Frequency, means)
		})[0]
		result.WeightedMean, result.WeightedMeanCI = &weighted, &interval
	}
	return result
}

// strata returns the categories of the system's items, sorted, and the indices
// of the items in each. Items without a category are in none.
func (s *rated) strata(c *Categories) (names []string, strata [][]int) {
	by := map[string][]int{}
	for i, item := range s.items {
		if category, ok := c.Of[item]; ok {
			by[category] = append(by[category], i)
		}
	}
	for name := range by {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		strata = append(strata, by[name])
	}
	return names, strata
}

func weightedMean(names []string, strata [][]int, frequency map[string]float64, means []float64) float64 {
	sum, total := 0.0, 0.0
	for i, items := range strata {
		sumOfItems := 0.0
		for _, item := range items {
			sumOfItems += means[item]
		}
		f := frequency[names[i]]
		sum += f * sumOfItems / float64(len(items))
		total += f
	}
	return sum / total
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, x := range values {
		sum += x
	}
	return sum / float64(len(values))
}

func meanInterval(values []float64, opts *Resampling) Interval {
	return Bootstrap(len(values), 1, opts, func(sample []int, out []float64) {
		sum := 0.0
		for _, i := range sample {
			sum += values[i]
		}
		out[0] = sum / float64(len(sample))
	})[0]
}
