// Package alert tells somebody when a link needs an operator: when tasks on it begin to fail for good, or its deletes begin to
// be held. A [Watcher] finds out, once each time; a [Notifier] posts it to a webhook, and never delays whoever calls it.
package alert
