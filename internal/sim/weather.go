package sim

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/s3mesh/s3mesh"
)

// drawWorld draws what kind of world a seed lives in.
func drawWorld(rng *rand.Rand) WorldConfig {
	cfg := WorldConfig{
		Keys: []string{"k", "dir/ü k", "x"}[:1+rng.IntN(3)*rng.IntN(2)],
		// Echoes, processes and the queue as production has them, in all combinations.
		OneProcess: rng.IntN(2) == 0, KeepEchoes: rng.IntN(3) == 0, DedicatedCredentials: rng.IntN(2) == 0,
		Coalesce: rng.IntN(3) > 0, MaxClockSkew: MaxClockSkew, Deletes: rng.IntN(2) == 0, Prompt: rng.IntN(2) == 0,
	}
	if rng.IntN(4) == 0 {
		cfg.LargeObject = 6
	}
	names := []string{"ap", "eu", "us", "za"}[:2+rng.IntN(3)]
	cfg.Chain = rng.IntN(6) == 0
	skewed := rng.IntN(2) == 0
	for _, name := range names {
		sc := SiteConfig{Name: name}
		if skewed {
			sc.Skew = time.Duration(rng.IntN(2001)-1000) * time.Millisecond
		}
		cfg.Sites = append(cfg.Sites, sc)
	}
	if rng.IntN(6) == 0 {
		lacks := s3mesh.Capabilities{ConditionalPut: rng.IntN(2) == 0, ConditionalComplete: rng.IntN(2) == 0,
			ConditionalDelete: rng.IntN(2) == 0}
		cfg.Sites[rng.IntN(len(cfg.Sites))].Lacks = lacks
		return cfg
	}
	if rng.IntN(5) == 0 {
		for i := range cfg.Sites {
			cfg.Sites[i].Unversioned = rng.IntN(2) == 0
		}
	}
	return cfg
}

// drawWeather draws how rough a seed is. Some seeds have few kinds of actions, which finds more about these.
func drawWeather(rng *rand.Rand) Weather {
	w := Weather{Writes: 2 + rng.IntN(7), Parallel: []int{50, 200, 500}[rng.IntN(3)]}
	w.Actions = [actions]int{actPut: 10, actPutSame: 4, actBegin: 3, actComplete: 3, actRestore: 2, actDelete: 6, actUndelete: 4,
		actRemove: 1, actDeleteBatch: 2}
	if rng.IntN(2) == 0 {
		for a := range w.Actions {
			if action(a) != actPut && rng.IntN(2) == 0 {
				w.Actions[a] = 0
			}
		}
	}
	if rng.IntN(4) == 0 {
		return w // fair weather
	}
	for _, chance := range []struct {
		of   *int
		high int
	}{
		{&w.Fault, 250}, {&w.Crash, 150}, {&w.Denied, 30}, {&w.Restart, 20}, {&w.Duplicate, 300}, {&w.Lose, 100},
		{&w.Partition, 10}, {&w.Slow, 20}, {&w.Tick, 60}, {&w.Overlap, 80},
	} {
		if rng.IntN(2) == 0 {
			*chance.of = 1 + rng.IntN(chance.high)
		}
	}
	return w
}

// tameDeletes takes out of a run what its world does not promise.
func tameDeletes(cfg *WorldConfig, weather *Weather) {
	unversioned := slices.ContainsFunc(cfg.Sites, func(s SiteConfig) bool { return s.Unversioned })
	cfg.Deletes = cfg.Deletes && !unversioned
	if !cfg.Deletes {
		weather.Actions[actDelete], weather.Actions[actUndelete], weather.Actions[actDeleteBatch] = 0, 0, 0
	}
	if unversioned {
		// A write of the same bytes cannot be told from an echo there, and a restored version not from a replica.
		weather.Actions[actPutSame], weather.Actions[actRestore], weather.Actions[actRemove] = 0, 0, 0
	}
	if unversioned && slices.ContainsFunc(cfg.Sites, func(s SiteConfig) bool { return !s.Unversioned }) {
		// The origin alone knows that an upload is later than what it replaced. Together with the times of other sites' writes that
		// makes circles, in which a site that keeps versions puts one back over the other.
		weather.Actions[actBegin] = 0
	}
}

// disturb begins and ends what lasts: partitions, slow links; and kills processes.
func (r *run) disturb() {
	n := len(r.sites)
	if r.chance(r.weather.Restart) {
		at := r.rng.IntN(n)
		r.tracef("restart of the process of %s", r.name(at))
		r.restart(at)
	}
	if r.chance(r.weather.Partition) {
		from, to := r.rng.IntN(n), r.rng.IntN(n)
		r.cut[from][to] = !r.cut[from][to]
		r.tracef("network process %s to site %s: cut is now %v", r.name(from), r.name(to), r.cut[from][to])
	}
	if r.chance(r.weather.Slow) {
		r.slow[r.rng.IntN(n*n)] = 1 + r.rng.IntN(50)
	}
}

// verdict draws what a request comes to.
func (r *run) verdict(t *task) (verdict, string) {
	at := t.at
	if r.calm {
		return verdict{}, "ok"
	}
	if at.op != opAnnounce && r.cut[t.entry.target][at.site] {
		return verdict{err: r.fault(s3mesh.KindUnreachable, at)}, "cut off"
	}
	effect := at.op.writes() && r.rng.IntN(2) == 0
	switch {
	case r.chance(r.weather.Crash):
		return verdict{die: true, lost: effect}, died(effect)
	case r.chance(r.weather.Denied):
		return verdict{err: r.fault(s3mesh.KindAccessDenied, at)}, "access denied"
	case r.chance(r.weather.Fault):
		kind := []s3mesh.Kind{s3mesh.KindUnreachable, s3mesh.KindThrottled, s3mesh.KindOther, s3mesh.KindConflict}[r.rng.IntN(4)]
		if kind == s3mesh.KindConflict && !at.op.writes() {
			kind = s3mesh.KindUnreachable // nothing is in the way of a read
		}
		if kind == s3mesh.KindThrottled || kind == s3mesh.KindConflict {
			effect = false // these say that nothing was done
		}
		return verdict{err: r.fault(kind, at), lost: effect}, failed(kind, effect)
	default:
		return verdict{}, "ok"
	}
}

func died(effect bool) string {
	if effect {
		return "done, then the task died"
	}
	return "the task died before"
}

func failed(kind s3mesh.Kind, effect bool) string {
	if effect {
		return "done, but the answer was lost: " + kind.String()
	}
	return "failed: " + kind.String()
}
