package sim

import (
	"regexp"
	"testing"
)

// seedsPerVariant is within how many seeds each broken variant must be found.
const seedsPerVariant = 4000

// TestBrokenVariantsAreFound puts each plausible but wrong rule back, and wants the checker to tell what is wrong with it. A seed
// counts only where the sound rule passes it.
func TestBrokenVariantsAreFound(t *testing.T) {
	t.Parallel()
	const (
		diverged     = `the sites differ`
		neverSettles = `never settle|after all sites were equal`
		overwritten  = `won, though a client had overwritten it`
		resurrected  = `^key [^:]*: write \d+ \([^d].* ` + overwritten
		notTheLatest = `won, though write \d+ .* is the latest`
	)
	cases := []struct {
		variant Variant
		fault   string // what it does
		want    string // what the checker says
	}{
		{SkipIfExists, "an overwrite never arrives", diverged},
		{LastModifiedWins, "an overwritten write wins within a second", overwritten},
		{FoundIsOlder, "replicas go to and fro for ever", neverSettles},
		{SkewBeyondBound, "an overwritten write wins", overwritten},
		{NoCondition, "a client's write is lost under a replica", overwritten + "|" + notTheLatest},
		{NoTombstone, "a replicated delete passes for a new one", `the key is gone, and no delete explains it`},
		{NoTrace, "a deleted object is resurrected", resurrected},
		{TargetWinsTies, "each site keeps its own", diverged},
	}
	for _, c := range cases {
		t.Run(string(c.variant)+": "+c.fault, func(t *testing.T) {
			t.Parallel()
			want := regexp.MustCompile(c.want)
			for seed := uint64(1); seed <= seedsPerVariant; seed++ {
				broken := Random(Options{Seed: seed, Variant: c.variant})
				if broken.Err != nil && want.MatchString(broken.Err.Error()) && Random(Options{Seed: seed}).Err == nil {
					t.Logf("found by seed %d: %v", seed, broken.Err)
					return
				}
			}
			t.Fatalf("%d seeds do not show that %s", seedsPerVariant, c.fault)
		})
	}
}
