package alert

import (
	"time"

	"github.com/s3mesh/s3mesh"
)

// Name says what an alert is about.
type Name string

// The alerts.
const (
	DeadLetters Name = "dead_letters" // a link that had no dead letters has some
	DeletesHeld Name = "deletes_held" // the deletes of a link began to be held
)

// Names returns every alert.
func Names() []Name { return []Name{DeadLetters, DeletesHeld} }

// Alert is what the webhook is sent, as a JSON object.
type Alert struct {
	Alert Name        `json:"alert"`
	Set   string      `json:"set"`
	Link  s3mesh.Link `json:"link"`
	Count int64       `json:"count"` // of dead letters, or of deletes that are held, when the alert was raised
	// Kind, Cause, Remedy and Key are of one of them.
	Kind   s3mesh.Kind `json:"kind"`
	Cause  string      `json:"cause"`
	Remedy string      `json:"remedy"`
	Key    string      `json:"key,omitempty"`
	Time   time.Time   `json:"time"`
}

// Result is what became of an alert.
type Result string

// The results.
const (
	ResultSent      Result = "sent"       // the webhook took it
	ResultFailed    Result = "failed"     // the webhook did not take it, however often it was tried
	ResultDropped   Result = "dropped"    // too many alerts were waiting
	ResultNoWebhook Result = "no_webhook" // there is nobody to tell, but for the log and the metrics
)

// Results returns every result.
func Results() []Result { return []Result{ResultSent, ResultFailed, ResultDropped, ResultNoWebhook} }
