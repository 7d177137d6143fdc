// Package eval holds the statistics of Koala's evaluation: comparisons of
// models by people, ratings, agreement between raters, and Rouge-L.
//
// Read judgments with [ReadJudgments], then call [Compare] for pairwise
// judgments or [Rate] for ratings from 1 to 5. Both return everything that the
// report prints. Each statistic is also a function of its own on plain slices:
//
//	intervals      Wilson, Bootstrap, Quantile
//	tests          SignTest, Holm
//	agreement      Alpha, FleissKappa, CohenKappa, PercentAgreement
//	strengths      Davidson, BradleyTerry, Elo
//	lines          FitLog
//	text           RougeL, ExactMatch
//
// The unit of every test and interval is the item, not the judgment: several
// judgments of one item are not independent. With three judgments an item, a
// test on judgments rejects a true null hypothesis three times as often as it
// says.
//
// The package reads no files and opens no connections.
package eval
