package doctor

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/s3mesh/s3mesh"
)

// The answers that many checks have.
const (
	yes      = "yes"
	no       = "no"
	skip     = "-"          // not asked
	unneeded = "not needed" // a permission that s3mesh does without
	unknown  = "?"          // asked, and not told
	denied   = "denied"
)

// askEvery is how often it is asked whether a notification came.
const askEvery = 200 * time.Millisecond

// examination is the examination of one site.
type examination struct {
	cfg     Config
	site    Site
	scratch Scratch
	found   []Result
	away    bool // the site stopped answering
	// writable tells that it is written to, and can be.
	writable bool
}

// find notes an answer.
func (e *examination) find(check, answer string, err error) { e.show(check, answer, "", err) }

// show notes an answer that the table shows in another form.
func (e *examination) show(check, answer, shown string, err error) {
	result := Result{Check: check, Answer: answer, Shown: shown}
	if err != nil {
		result.Detail = err.Error()
	}
	e.found = append(e.found, result)
}

// failed notes that a check could not be done, and reports whether there was an error.
func (e *examination) failed(check string, err error) bool {
	switch {
	case err == nil:
		return false
	case s3mesh.KindOf(err) == s3mesh.KindAccessDenied:
		e.find(check, denied, err)
	default:
		e.find(check, unknown, err)
	}
	kind := s3mesh.KindOf(err)
	e.away = e.away || kind == s3mesh.KindUnreachable && unreached(err) != "" || kind == s3mesh.KindCanceled
	return true
}

// begin asks whether the site can be worked with, and whether its notifications arrive. What comes later builds on what comes
// before.
func (e *examination) begin(ctx context.Context) {
	if !e.contact(ctx) {
		return
	}
	if on, err := e.site.Store.Versioning(ctx); !e.failed(checkVersioning, err) {
		e.find(checkVersioning, onOff(on), nil)
	}
	e.scratch = e.site.Scratch()
	e.writable = e.permissions(ctx) && e.site.Served
	if e.writable {
		e.notifications(ctx)
	} else {
		e.unasked()
	}
}

// experiment finds out what the store does, if it may be written to, and cleans up.
func (e *examination) experiment(ctx context.Context) {
	defer e.clock()
	if e.scratch == nil {
		return
	}
	defer e.cleanUp(ctx)
	for _, step := range []func(context.Context){e.conditions, e.contents, e.keys} {
		if !e.writable || e.away || ctx.Err() != nil {
			return
		}
		step(ctx)
	}
}

func onOff(on bool) string {
	if on {
		return yes
	}
	return no
}

// unasked tells of a site whose notifications come to where they are needed without this being able to try it.
func (e *examination) unasked() {
	if e.site.Poll > 0 {
		e.find(checkNotifications, "polled", nil)
	}
}

// permissions tries each permission that s3mesh uses, and reports whether it may write.
func (e *examination) permissions(ctx context.Context) (writable bool) {
	for _, p := range permissions() {
		if e.away || ctx.Err() != nil {
			return writable
		}
		if !e.site.Served && !p.reads {
			e.find(p.action, unneeded, nil)
			continue
		}
		err := e.scratch.Try(ctx, p.action)
		switch kind := s3mesh.KindOf(err); {
		case err == nil:
			e.find(p.action, yes, nil)
		case kind == s3mesh.KindUnsupported || kind == s3mesh.KindInvalid:
			e.find(p.action, skip, err) // what a store does not have takes no permission
		default:
			e.failed(p.action, err)
		}
		writable = writable || err == nil && p.action == actionPut
	}
	e.find(actionPutTags, unneeded, nil) // tags are not replicated
	if !e.site.Served {
		e.tryToWrite(ctx)
	}
	return writable
}

// tryToWrite looks whether a site that is only read from can be written to.
func (e *examination) tryToWrite(ctx context.Context) {
	if err := e.scratch.Try(ctx, actionPut); err != nil {
		if s3mesh.KindOf(err) == s3mesh.KindAccessDenied || s3mesh.KindOf(err) == s3mesh.KindUnsupported {
			e.find(checkReadOnly, yes, nil)
			return
		}
		e.failed(checkReadOnly, err)
		return
	}
	e.find(checkReadOnly, no, nil)
}

// notifications writes an object and waits for the notification of it.
func (e *examination) notifications(ctx context.Context) {
	switch {
	case e.site.Poll > 0:
		e.find(checkNotifications, "polled", nil)
		return
	case !e.site.Announces || e.cfg.Arrivals == nil:
		e.find(checkNotifications, skip, nil)
		return
	}
	key, err := e.scratch.Mark(ctx)
	if e.failed(checkNotifications, err) {
		return
	}
	start := time.Now()
	seen, err := e.await(ctx, key)
	switch {
	case e.failed(checkNotifications, err):
		e.away = false // what failed is the intake
	case seen:
		e.show(checkNotifications, yes, time.Since(start).Round(10*time.Millisecond).String(), nil)
	default:
		e.find(checkNotifications, "lost", errors.New("written, and no notification came within "+e.cfg.Wait.String()))
	}
}

// await asks until the notification of key came, for as long as it may take.
func (e *examination) await(ctx context.Context, key string) (bool, error) {
	deadline := time.NewTimer(e.cfg.Wait)
	defer deadline.Stop()
	again := time.NewTicker(askEvery)
	defer again.Stop()
	for {
		seen, err := e.cfg.Arrivals.Seen(ctx, e.site.Name, key)
		if seen || err != nil {
			return seen, err
		}
		select {
		case <-again.C:
		case <-deadline.C:
			return e.cfg.Arrivals.Seen(ctx, e.site.Name, key)
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// conditions puts every condition to the test, and those that are honoured to a race.
func (e *examination) conditions(ctx context.Context) {
	for _, c := range conditional() {
		if e.away || ctx.Err() != nil {
			return
		}
		honoured, err := e.scratch.Honours(ctx, c.operation, c.header)
		if e.failed(c.check, err) {
			continue
		}
		if !honoured {
			e.find(c.check, "ignored", nil)
			continue
		}
		atomic, err := e.scratch.Atomic(ctx, c.operation, c.header)
		switch {
		case e.failed(c.check, err):
		case atomic && (c.check != checkDelete || !slices.Contains(racyDeletes(), e.site.Store.Product())):
			e.find(c.check, yes, nil)
		default:
			e.find(c.check, "racy", nil)
		}
	}
}

// racyDeletes are products whose conditional deletes are known to be racy, though a short race may not show it.
func racyDeletes() []string { return []string{"VERSITYGW"} }

// contents asks what objects can carry.
func (e *examination) contents(ctx context.Context) {
	e.ask(checkTags, func() (bool, error) { return e.scratch.Tags(ctx) })
	for _, algorithm := range []string{"CRC32C", "CRC64NVME", "SHA256"} {
		kept, checked, err := e.scratch.Checksum(ctx, algorithm)
		switch {
		case e.failed(algorithm, err):
		case !kept:
			e.find(algorithm, no, nil)
		case !checked:
			e.find(algorithm, "unchecked", nil)
		default:
			e.find(algorithm, yes, nil)
		}
	}
	e.ask(checkRange, func() (bool, error) { return e.scratch.Range(ctx) })
	e.ask(checkParts, func() (bool, error) { return e.scratch.Parts(ctx) })
}

func (e *examination) ask(check string, question func() (bool, error)) {
	if is, err := question(); !e.failed(check, err) {
		e.find(check, onOff(is), nil)
	}
}

// keys asks what becomes of odd keys, and how listings are.
func (e *examination) keys(ctx context.Context) {
	grain, err := e.scratch.Grain(ctx)
	if !e.failed(checkGrain, err) {
		e.show(checkGrain, yes, grain.String(), nil)
	}
	e.ask(checkOrder, func() (bool, error) { return e.scratch.Order(ctx) })
	for _, odd := range oddKeys() {
		if e.away || ctx.Err() != nil {
			return
		}
		fate, err := odd.fate(ctx, e.scratch)
		if odd.conditional && !e.has(checkPutMatch, yes) {
			fate, err = skip, nil // its test is a write under If-Match
		}
		if !e.failed(odd.check, err) {
			e.find(odd.check, fate, nil)
		}
	}
}

// has reports whether a check has been given an answer.
func (e *examination) has(check, answer string) bool {
	return slices.ContainsFunc(e.found, func(r Result) bool { return r.Check == check && r.Answer == answer })
}

// cleanUp removes everything, and tells of what stays.
func (e *examination) cleanUp(ctx context.Context) {
	err := e.scratch.Close(ctx)
	_, swept := e.scratch.Sweep(ctx, LeftOverAge)
	if swept != nil {
		err = errors.Join(err, swept)
	}
	if err == nil || !e.wrote() {
		e.find(checkClean, yes, nil)
		return
	}
	e.find(checkClean, "left", err)
}

// wrote reports whether anything was written.
func (e *examination) wrote() bool { return e.has(actionPut, yes) || e.has(checkReadOnly, no) }

// report judges what was found.
func (e *examination) report() SiteReport {
	report := SiteReport{Name: e.site.Name, Bucket: e.site.Bucket, Endpoint: e.site.Endpoint, Product: e.site.Store.Product(),
		Served: e.site.Served, Capabilities: s3mesh.Capabilities{
			Versioned:           e.has(checkVersioning, yes),
			ConditionalPut:      e.has(checkPutNone, yes) && e.has(checkPutMatch, yes),
			ConditionalComplete: e.has(checkCompleteNone, yes) && e.has(checkCompleteMatch, yes),
			ConditionalDelete:   e.has(checkDelete, yes),
		}}
	known := facts{cfg: e.cfg, site: e.site, can: report.Capabilities, product: report.Product, probed: e.has(actionPut, yes)}
	for _, result := range e.found {
		report.Results = append(report.Results, judge(known, result))
	}
	return report
}
